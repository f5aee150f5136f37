/* version: what this binary is. Static text, set by the build. */
#pragma once

#define HWAL_VERSION "0.1.0"

const char *version_build_id(void); /* commit, "-dirty" when the tree had changes */
const char *version_profile(void);  /* release, clang, asan ... */
const char *version_compiler(void);
