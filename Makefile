# hwal: one non-recursive Makefile. `make help` lists the wishes. Sources are found by folder; objects go to
# build/<profile>/ so that sanitizer and compiler builds never mix. V=1 shows the commands.
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

PROFILE ?= release
ifeq ($(filter $(PROFILE),release clang asan ubsan tsan fuzz),)
$(error PROFILE is "$(PROFILE)", there are release clang asan ubsan tsan fuzz)
endif
ARCH    ?= x86-64-v3
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)
B       := build/$(PROFILE)
GEN     := build/gen

CC_release := gcc
CC_clang   := clang
CC_asan    := gcc
CC_ubsan   := gcc
CC_tsan    := gcc
CC_fuzz    := clang
CC         := $(CC_$(PROFILE))

WARN := -Wall -Wextra -Werror -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes \
        -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wundef -Wformat=2
# No floating contraction: gcc and clang builds must agree to the byte.
BASE := -std=gnu17 -g -march=$(ARCH) -ffp-contract=off -fno-strict-overflow -fstack-protector-strong -D_GNU_SOURCE
CFLAGS_release := -O3
CFLAGS_clang   := -O3
CFLAGS_asan    := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DDCHECK=1
CFLAGS_ubsan   := -O1 -fsanitize=undefined -fno-sanitize-recover=all -DDCHECK=1
CFLAGS_tsan    := -O1 -fsanitize=thread -DDCHECK=1
CFLAGS_fuzz    := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -DDCHECK=1

CPPFLAGS := -I. -I$(GEN)
CFLAGS   := $(BASE) $(WARN) $(CFLAGS_$(PROFILE))
SAN      := $(filter -fsanitize=% -fno-sanitize%,$(CFLAGS))
LDFLAGS  := $(SAN) -Wl,--as-needed -Wl,-z,relro,-z,now
LDLIBS   := -lcyaml -lyaml -ljansson -lisal -lxxhash -luring -lseccomp -lcrypto -lm -lpthread

SRC      := $(wildcard core/*/*.c ipc/*.c adapters/*/*.c adapters/venues/*/*.c tools/*.c bench/*.c)
LIB_SRC  := $(filter-out tools/main.c,$(SRC))
ifeq ($(PROFILE),tsan) # threads meet in ipc alone: its tests need no more
LIB_SRC  := $(wildcard core/types/*.c core/ref/*.c ipc/*.c)
endif
LIB_OBJ  := $(LIB_SRC:%.c=$(B)/%.o) $(B)/gen/hwal_fbs.o
LIB      := $(B)/libhwal_all.a
HWAL     := $(B)/hwal

UNIT_SRC := $(wildcard tests/core/*/test_*.c tests/ipc/test_*.c tests/adapters/*/test_*.c \
                       tests/adapters/*/*/test_*.c tests/tools/test_*.c)
UNIT     := $(UNIT_SRC:%.c=$(B)/%)
VEC_SRC  := $(wildcard tests/vectors/vec_*.c)
VEC      := $(VEC_SRC:%.c=$(B)/%)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
TEST_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/lib/*.c))
TEST_LIB := $(B)/libtests.a

.PHONY: all run check test vectors soak soak-seeds fuzz-run always tidy bench deps deps-bench asan ubsan tsan fuzz lint format clean help unit \
        vectors-bin hwal-bin tests-bin
all: hwal-bin
hwal-bin: $(HWAL)
tests-bin: $(UNIT) $(VEC)

# ---- generated code: the FlatBuffers schema becomes C -----------------------------------------------------------------
FBSGEN := build/tools/fbsgen
$(GEN)/hwal.bfbs: ipc/schema/hwal.fbs
$(GEN)/evolved.bfbs: tests/ipc/evolved.fbs
$(GEN)/%.bfbs:
	$(Q)mkdir -p $(GEN) && flatc --binary --schema --bfbs-comments --bfbs-builtins -o $(GEN) $<
$(FBSGEN): $(wildcard ipc/gen/*.c ipc/gen/*.h) ipc/fbs.c ipc/fbs.h core/types/err.c core/types/err.h
	$(Q)mkdir -p $(@D) && gcc $(CPPFLAGS) $(BASE) $(WARN) -O1 -o $@ $(filter %.c,$^)
$(GEN)/%_fbs.h $(GEN)/%_fbs.c: $(GEN)/%.bfbs $(FBSGEN)
	$(Q)$(FBSGEN) $< $(GEN)
$(B)/tests/ipc/test_fbs.o $(B)/tests/ipc/test_bfbs.o: $(GEN)/evolved_fbs.h
$(B)/gen/hwal_fbs.o: $(GEN)/hwal_fbs.c $(GEN)/hwal_fbs.h
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

# ---- objects, library, binary -----------------------------------------------------------------------------------------
BUILD_ID := $(shell git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)
$(B)/ipc/version.o: CPPFLAGS += -DHWAL_BUILD_ID='"$(BUILD_ID)"' -DHWAL_PROFILE='"$(PROFILE)"'
$(B)/ipc/version.o: $(B)/build-id
$(B)/build-id: always # rewritten only when it changed
	$(Q)mkdir -p $(@D); [ "$$(cat $@ 2>/dev/null)" = "$(BUILD_ID)" ] || echo "$(BUILD_ID)" >$@
always:
$(B)/%.o: %.c Makefile | $(GEN)/hwal_fbs.h
	@$(if $(filter 1,$(V)),,echo "  CC    $(PROFILE) $<")
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$(LIB): $(LIB_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^
$(TEST_LIB): $(TEST_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^
$(HWAL): $(B)/tools/main.o $(LIB)
	@$(if $(filter 1,$(V)),,echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(B)/tests/%: $(B)/tests/%.o $(TEST_LIB) $(LIB)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka
-include $(shell find $(B) -name '*.d' 2>/dev/null)

# ---- wishes -----------------------------------------------------------------------------------------------------------
run: ## install what is missing, build, run the demonstration
	@tools/deps run
	$(Q)$(MAKE) --no-print-directory all
	$(HWAL) run --config configs/demo.yaml

check: ## the inner loop, at most 60 s: build and unit tests
	@tests/stage check

test: ## everything that must hold, at most 15 minutes on two cores
	@tools/deps test
	@tests/stage test

unit: $(UNIT)
	@tests/stage unit $(UNIT)

vectors: $(VEC) ## outside test vectors under HWAL_SHARED, one line a folder
	@tests/stage vectors $(VEC) || [ $$? = 77 ]

soak: ## long property runs, then every seed for SOAK_SECONDS (default 1800)
	@tests/stage soak
soak-seeds: $(UNIT)
	@tests/stage seeds $(UNIT)

bench: $(HWAL) ## all benchmarks, small
	$(HWAL) bench

deps: ## Debian packages that the project needs (root or sudo)
	@tools/deps install test
deps-bench: ## Debian packages of peers for benchmarks
	@tools/deps install bench

asan: ## unit tests under AddressSanitizer and UBSan
	$(Q)$(MAKE) --no-print-directory PROFILE=asan unit
ubsan: ## unit tests under UBSan alone
	$(Q)$(MAKE) --no-print-directory PROFILE=ubsan unit
tsan: ## tests of ipc under ThreadSanitizer: nothing else has two threads on one memory
	@tests/stage tsan-ipc
fuzz: ## libFuzzer targets, FUZZ_SECONDS each (default 60)
	$(Q)$(MAKE) --no-print-directory PROFILE=fuzz fuzz-run
fuzz-run: $(FUZZ_SRC:%.c=build/fuzz/%)
	@tests/stage fuzz $^
build/fuzz/tests/fuzz/%: build/fuzz/tests/fuzz/%.o $(TEST_LIB) $(LIB)
	$(Q)$(CC) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LDLIBS)

lint: ## house rules, include directions
	@tests/lint
tidy: $(GEN)/hwal_fbs.h ## clang-tidy over our sources (minutes)
	@command -v clang-tidy >/dev/null || tools/deps install dev
	@tests/lint --tidy
format: ## clang-format over our sources
	@command -v clang-format >/dev/null || tools/deps install dev
	clang-format -i $$(git ls-files '*.c' '*.h')
clean: ## remove build/
	rm -rf build
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20
