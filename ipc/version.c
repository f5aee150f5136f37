#include "ipc/version.h"

const char *version_build_id(void)
{
    return HWAL_BUILD_ID;
}

const char *version_profile(void)
{
    return HWAL_PROFILE;
}

const char *version_compiler(void)
{
#ifdef __clang__
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}
