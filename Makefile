# hwal: one non-recursive Makefile. `make help` lists the wishes. Sources are found by folder; objects go to
# build/<profile>/ so that sanitizer and compiler builds never mix. V=1 shows the commands.
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

PROFILE ?= release
ifeq ($(filter $(PROFILE),release clang asan ubsan tsan fuzz coverage),)
$(error PROFILE is "$(PROFILE)", there are release clang asan ubsan tsan fuzz coverage)
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
CC_coverage := gcc
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

CFLAGS_coverage := -O0 # and --coverage for the sources that are measured

CPPFLAGS := -I. -I$(GEN)
CFLAGS   := $(BASE) $(WARN) $(CFLAGS_$(PROFILE))
SAN      := $(filter -fsanitize=% -fno-sanitize%,$(CFLAGS))
LDFLAGS  := $(SAN) -Wl,--as-needed -Wl,-z,relro,-z,now
LDLIBS   := -lcyaml -lyaml -ljansson -lisal -lzstd -lxxhash -luring -lseccomp -lcrypto -lm -lpthread

SRC      := $(wildcard core/*/*.c ipc/*.c adapters/*/*.c adapters/venues/*/*.c tools/*.c bench/*.c)
LIB_SRC  := $(filter-out tools/main.c,$(SRC))
ifeq ($(PROFILE),tsan) # threads meet in ipc alone: its tests need no more
LIB_SRC  := $(wildcard core/types/*.c core/ref/*.c ipc/*.c) core/risk/risk_code.c
endif
ifeq ($(PROFILE),coverage) # what tests/coverage can measure, and no more than its tests need
COVERED  := core/types/decimal.c $(wildcard core/ref/*.c core/order/*.c core/risk/*.c core/portfolio/*.c)
LIB_SRC  := $(wildcard core/types/*.c) $(filter-out core/types/%,$(COVERED)) adapters/net/scan.c
$(COVERED:%.c=$(B)/%.o): CFLAGS += --coverage
LDFLAGS  += --coverage
endif
LIB_OBJ  := $(LIB_SRC:%.c=$(B)/%.o) $(B)/gen/hwal_fbs.o
LIB      := $(B)/libhwal_all.a
HWAL     := $(B)/hwal

UNIT_SRC := $(wildcard tests/core/*/test_*.c tests/ipc/test_*.c tests/adapters/*/test_*.c \
                       tests/adapters/*/*/test_*.c tests/tools/test_*.c tests/faults/test_*.c)
UNIT     := $(UNIT_SRC:%.c=$(B)/%)
VEC_SRC  := $(wildcard tests/vectors/vec_*.c)
VEC      := $(VEC_SRC:%.c=$(B)/%)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
TEST_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/lib/*.c))
ifeq ($(PROFILE),coverage) # these need the engine or ipc
TEST_OBJ := $(filter-out $(addprefix $(B)/tests/lib/,house.o journal_model.o engine_world.o),$(TEST_OBJ))
endif
TEST_LIB := $(B)/libtests.a

.PHONY: all run check test vectors soak soak-seeds fuzz-run always tidy bench deps deps-bench asan ubsan tsan fuzz lint format clean help unit coverage mutants \
        vectors-bin hwal-bin tests-bin lib install uninstall bench-peers
all: hwal-bin lib
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
# ---- libhwal: ipc/hwal.h for programs of others ------------------------------------------------------------------------
# Shared and static from the same position-independent objects; the linker takes what hwal*.c reach and no more. Only what
# the header marks HWAL_API can be seen of either.
PIC     := $(B)/pic
PIC_SRC := $(wildcard core/types/*.c core/ref/*.c ipc/*.c) core/risk/risk_code.c
PIC_API := $(PIC)/ipc/hwal.o $(PIC)/ipc/hwal_lane.o
PIC_OBJ := $(filter-out $(PIC_API),$(PIC_SRC:%.c=$(PIC)/%.o)) $(PIC)/gen/hwal_fbs.o
lib: $(B)/libhwal.so $(B)/libhwal.a ## libhwal, shared and static
$(PIC)/ipc/version.o: CPPFLAGS += -DHWAL_BUILD_ID='"$(BUILD_ID)"' -DHWAL_PROFILE='"$(PROFILE)"'
$(PIC)/ipc/version.o: $(B)/build-id
$(PIC)/gen/hwal_fbs.o: $(GEN)/hwal_fbs.c $(GEN)/hwal_fbs.h
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -fvisibility=hidden -MMD -MP -c $< -o $@
$(PIC)/%.o: %.c Makefile | $(GEN)/hwal_fbs.h
	@$(if $(filter 1,$(V)),,echo "  CC    pic $<")
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -fvisibility=hidden -MMD -MP -c $< -o $@
$(PIC)/libpic.a: $(PIC_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^
$(B)/libhwal.so.1: $(PIC_API) $(PIC)/libpic.a ipc/libhwal.map
	@$(if $(filter 1,$(V)),,echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,libhwal.so.1 -Wl,--version-script=ipc/libhwal.map -Wl,-z,defs -o $@ \
	    $(PIC_API) $(PIC)/libpic.a
$(B)/libhwal.so: $(B)/libhwal.so.1
	$(Q)ln -sf libhwal.so.1 $@
$(B)/libhwal.a: $(PIC_API) $(PIC)/libpic.a
	$(Q)ld -r -o $(PIC)/libhwal.o $^ && objcopy --localize-hidden $(PIC)/libhwal.o
	$(Q)rm -f $@ && ar rcs $@ $(PIC)/libhwal.o

PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
MANDIR  ?= $(PREFIX)/share/man
MAN3    := $(wildcard docs/man/*.3)
MAN3_NM := sed -n '/^.Sh NAME/,/^.Nd/s/^.Nm \([a-z_]*\).*/\1/p'
VERSION := $(shell sed -n 's/^.define HWAL_VERSION "\(.*\)"/\1/p' ipc/version.h)
install: hwal-bin lib ## PREFIX (/usr/local), DESTDIR: command, library, headers, schema, manuals, completion
	install -D -m 755 $(HWAL) $(DESTDIR)$(PREFIX)/bin/hwal
	install -D -m 644 $(B)/libhwal.so.1 $(DESTDIR)$(LIBDIR)/libhwal.so.1
	ln -sf libhwal.so.1 $(DESTDIR)$(LIBDIR)/libhwal.so
	install -D -m 644 $(B)/libhwal.a $(DESTDIR)$(LIBDIR)/libhwal.a
	install -D -m 644 ipc/hwal.h $(DESTDIR)$(PREFIX)/include/hwal/hwal.h
	install -D -m 644 core/types/msg.h $(DESTDIR)$(PREFIX)/include/hwal/msg.h
	install -D -m 644 ipc/schema/hwal.fbs $(DESTDIR)$(PREFIX)/share/hwal/hwal.fbs
	install -D -m 644 docs/hwal.1 $(DESTDIR)$(MANDIR)/man1/hwal.1
	install -D -m 644 -t $(DESTDIR)$(MANDIR)/man3 $(MAN3)
	$(Q)cd $(DESTDIR)$(MANDIR)/man3 && for page in $(notdir $(MAN3)); do for name in $$($(MAN3_NM) $$page); do \
	    [ $$name.3 = $$page ] || echo ".so man3/$$page" >$$name.3; done; done # each function is found by its own name
	install -D -m 644 docs/hwal.bash-completion $(DESTDIR)$(PREFIX)/share/bash-completion/completions/hwal
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' docs/hwal.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/hwal.pc
uninstall: ## what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/hwal $(DESTDIR)$(LIBDIR)/libhwal.so.1 $(DESTDIR)$(LIBDIR)/libhwal.so \
	    $(DESTDIR)$(LIBDIR)/libhwal.a $(DESTDIR)$(LIBDIR)/pkgconfig/hwal.pc $(DESTDIR)$(PREFIX)/include/hwal/hwal.h \
	    $(DESTDIR)$(PREFIX)/include/hwal/msg.h $(DESTDIR)$(PREFIX)/share/hwal/hwal.fbs $(DESTDIR)$(MANDIR)/man1/hwal.1 \
	    $(patsubst %,$(DESTDIR)$(MANDIR)/man3/%.3,$(shell $(MAN3_NM) $(MAN3))) \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/hwal
	rmdir $(DESTDIR)$(PREFIX)/include/hwal $(DESTDIR)$(PREFIX)/share/hwal 2>/dev/null || true

-include $(shell find $(B) -name '*.d' 2>/dev/null)

# ---- peers of the benchmarks: other people's queues, in an object that hwal opens when it is there and never links -------
PEERS    := $(B)/hwal-peers.so
PEER_SRC := bench/peers/peers.c bench/peers/feed.cc \
            $(if $(wildcard /usr/include/ck_ring.h),bench/peers/ck.c) \
            $(if $(wildcard /usr/include/dpdk/rte_ring.h),bench/peers/rte.c) \
            $(if $(wildcard /usr/include/boost/lockfree/spsc_queue.hpp),bench/peers/boost.cc) \
            $(if $(wildcard /usr/include/boost/container/flat_map.hpp),bench/peers/levels.cc bench/peers/orders.cc) \
            $(if $(wildcard /usr/include/iceoryx/*/iceoryx_binding_c/api.h),bench/peers/iceoryx.c)
PEER_OBJ := $(addsuffix .o,$(basename $(PEER_SRC:%=$(B)/%)))
PEER_FLAGS := -O3 -g -march=$(ARCH) -fPIC -Wall -Wextra -Werror -I. -D_GNU_SOURCE
$(B)/bench/peers/rte.o: PEER_FLAGS += -isystem /usr/include/dpdk -isystem /usr/include/x86_64-linux-gnu/dpdk -include rte_config.h
$(B)/bench/peers/iceoryx.o: PEER_FLAGS += $(addprefix -isystem ,$(wildcard /usr/include/iceoryx/*))
$(B)/bench/peers/%.o: bench/peers/%.c bench/peers/peer.h Makefile
	$(Q)mkdir -p $(@D) && gcc -std=gnu17 $(PEER_FLAGS) -c $< -o $@
$(B)/bench/peers/%.o: bench/peers/%.cc bench/peers/peer.h bench/peers/levels.h bench/peers/orders.h bench/peers/feed.h bench/peers/itch.h Makefile
	$(Q)mkdir -p $(@D) && g++ -std=gnu++20 $(PEER_FLAGS) -c $< -o $@
$(PEERS): $(PEER_OBJ)
	@$(if $(filter 1,$(V)),,echo "  LINK  $@ ($(filter-out peers,$(basename $(notdir $(PEER_SRC)))))")
	$(Q)$(if $(filter %.cc,$(PEER_SRC)),g++,gcc) -shared -Wl,--as-needed -o $@ $^ \
	    $(if $(filter %/rte.c,$(PEER_SRC)),-lrte_ring -lrte_eal) \
	    $(if $(filter %/iceoryx.c,$(PEER_SRC)),-liceoryx_binding_c -liceoryx_posh -liceoryx_hoofs)

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

bench: $(HWAL) bench-peers ## all benchmarks, small
	$(HWAL) bench
bench-peers: $(PEERS) ## peers to compare with, those whose packages are there (make deps-bench)

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

coverage: ## branches of orders, risk, portfolio and decimals that no test of theirs takes: none, or it fails
	@tests/coverage
mutants: ## a planted off-by-one in each comparison of orders, risk and portfolio: which no test sees (long; tests/mutants says more)
	@tests/mutants

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
