# callbackd: `make demo` shows it, `make check` proves it. See README.md.
#
#   make SAN=address,undefined check   the same under a sanitizer (objects apart)
#   make B=/tmp/x                      objects and programs somewhere else
#   make install DESTDIR=… prefix=/usr programs, manuals, units
#   make deb                           a Debian package in build/deb

prefix      ?= /usr/local
exec_prefix ?= $(prefix)
sbindir     ?= $(exec_prefix)/sbin
bindir      ?= $(exec_prefix)/bin
sysconfdir  ?= /etc
datadir     ?= $(prefix)/share
mandir      ?= $(datadir)/man
docdir      ?= $(datadir)/doc/callbackd
# Under /usr and under /usr/local systemd looks here of its own accord.
systemd_unitdir    ?= $(prefix)/lib/systemd/system
systemd_catalogdir ?= $(prefix)/lib/systemd/catalog
sysusersdir        ?= $(prefix)/lib/sysusers.d
tmpfilesdir        ?= $(prefix)/lib/tmpfiles.d
bashcompletiondir  ?= $(datadir)/bash-completion/completions
zshcompletiondir   ?= $(datadir)/zsh/site-functions
DESTDIR     ?=
SAN         ?=
B           ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
FULL        ?=
PYTHON      ?= /usr/bin/python3
FUZZ_SECONDS ?= 20
comma       := ,

VERSION := 0.1.0
PKGS    := libevent_core libevent_openssl libevent_pthreads openssl jansson libsystemd sqlite3 libcurl

# llhttp comes as source (Debian 12: node-llhttp) or, on newer systems, as a library.
LLHTTP := $(patsubst %/llhttp.c,%,$(wildcard /usr/share/llhttp/llhttp.c))
ifeq ($(LLHTTP),)
PKGS   += libllhttp
else
LLHTTP_CFLAGS := -DLLHTTP_STRICT_MODE=1 -I/usr/share/include/llhttp
endif

# Small, and fast where every byte of every callback passes. Relative relocations, packed,
# are a twentieth of the program.
CFLAGS   ?= -Os -g
HOT      := $(addprefix $(B)/src/,base/bytes.o base/codec.o rules/document.o rules/form.o rules/head.o \
            rules/jsontext.o rules/message.o rules/multipart.o rules/payload.o)
$(HOT): CFLAGS += -O2
PACKED   := $(shell ld --help 2>/dev/null | grep -q pack-relative-relocs && echo -Wl,-z,pack-relative-relocs)
WARN     := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wvla -Wformat=2 -Wno-format-nonliteral -Werror=implicit
HARDEN   := -fstack-protector-strong -fPIE $(if $(SAN),,-D_FORTIFY_SOURCE=3)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)

CPPFLAGS_OWN := -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -Isrc
PKG_CFLAGS  = $(shell pkg-config --cflags $(PKGS))
ALL_CFLAGS  = -std=gnu17 $(CFLAGS) $(WARN) $(HARDEN) $(SANFLAGS) $(CPPFLAGS_OWN) \
              $(LLHTTP_CFLAGS) -MMD -MP -pthread $(PKG_CFLAGS)
ALL_LDFLAGS = $(LDFLAGS) $(SANFLAGS) -pie -Wl,-z,relro,-z,now $(PACKED) -pthread
LIBS       := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

FLOORS := base rules io flow api ctl
SRC    := $(foreach f,$(FLOORS),$(wildcard src/$(f)/*.c))
OBJ    := $(SRC:%.c=$(B)/%.o) $(if $(LLHTTP),$(addprefix $(B)/llhttp/,llhttp.o api.o http.o))
UNIT   := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ   := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH  := $(B)/bench/load $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/*.c))
PYTESTS = $(wildcard tests/storage-service tests/daemon tests/service)

all: $(B)/callbackd $(B)/callbackctl

$(B)/callbackd $(B)/callbackctl: $(B)/%: $(B)/src/%.o $(B)/libcallbackd.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/libcallbackd.a: $(OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(B)/llhttp/%.o: $(LLHTTP)/%.c
	@mkdir -p $(@D)
	$(CC) -Os -g -fPIE $(SANFLAGS) $(LLHTTP_CFLAGS) -c -o $@ $<

# --- tests -------------------------------------------------------------------------

# A sanitizer that finds something ends the process; a sanitized build is slow.
RUNENV = ASAN_OPTIONS=abort_on_error=1:detect_leaks=1:strict_string_checks=1 \
         UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 TSAN_OPTIONS=halt_on_error=1:report_thread_leaks=0 \
         B=$(abspath $(B)) SAN=$(SAN) FULL=$(FULL) LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1

# Unit tests: `make unit` runs all, `make build/unit/test_x` makes one.
$(B)/unit/%: tests/unit/%.c $(B)/libcallbackd.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MF $@.d -Itests/unit -o $@ $< $(B)/libcallbackd.a $(LIBS) -lcmocka

unit: $(UNIT)
	@$(RUNENV) sh tests/unit.sh $(UNIT)

pytest: all
	@$(RUNENV) timeout -k 10 $(if $(FULL),3600,840) $(PYTHON) -m pytest -q -ra \
		-p no:cacheprovider $(PYTESTS)

# What is needed comes first, and a second make then finds it. The runners' closing
# lines come last.
check: deps
	@$(MAKE) --no-print-directory all unit
	@$(MAKE) --no-print-directory pytest

check-full:
	@$(MAKE) --no-print-directory check FULL=1

demo: deps
	@$(MAKE) --no-print-directory all
	@sh tests/demo.sh $(B)

$(B)/fuzz/%: tests/fuzz/%.c $(B)/libcallbackd.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fsanitize=fuzzer -MF $@.d -o $@ $< $(B)/libcallbackd.a $(LIBS)

# Every parser for FUZZ_SECONDS, from its seeds in tests/fuzz/seeds/NAME.
fuzz:
	@$(MAKE) --no-print-directory CC=clang SAN=address,undefined B=build-fuzz \
		CFLAGS='-O1 -g -fsanitize=fuzzer-no-link' fuzz-run
fuzz-run: $(FUZZ)
	@$(RUNENV) sh tests/fuzz.sh $(FUZZ_SECONDS) $(FUZZ)

# The load is a client: nothing of ours is in it.
$(B)/bench/load: $(wildcard tests/bench/load/*.c) $(wildcard tests/bench/load/*.h)
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(ALL_LDFLAGS) -o $@ $(filter %.c,$^) -lssl -lcrypto

$(B)/bench/%: tests/bench/%.c $(B)/libcallbackd.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MF $@.d -o $@ $< $(B)/libcallbackd.a $(LIBS)

bench: all $(BENCH)
	@$(RUNENV) $(PYTHON) tests/bench/bench.py
bench-growth: all $(BENCH)
	@$(RUNENV) $(PYTHON) tests/bench/growth.py
bench-hooks: all $(BENCH)
	@$(RUNENV) $(PYTHON) tests/bench/hooks.py

# --- lint --------------------------------------------------------------------------

C_FILES = $(shell find src tests -name '*.c' -o -name '*.h')

lint: lint-deps
	@$(MAKE) --no-print-directory lint-format lint-floors lint-headers lint-size lint-keys \
		lint-catalog lint-units lint-man lint-shell lint-tidy
	@echo lint: clean

lint-format:
	@clang-format --dry-run --Werror $(C_FILES)
lint-floors:
	@sh tests/lint/floors.sh src
lint-headers:
	@CC='$(CC)' sh tests/lint/headers.sh $(ALL_CFLAGS)
lint-size:
	@sh tests/lint/size.sh src
lint-keys:
	@test ! -e tests/lint/check-keys.sh || sh tests/lint/check-keys.sh
lint-catalog:
	@sh tests/lint/catalog.sh src/io/log_kinds.h systemd/callbackd.catalog src man/callbackd-journal.7
lint-units:
	@sh tests/lint/units.sh
lint-man:
	@for f in man/*.[1-9]; do mandoc -Tlint -Wwarning $$f || exit 1; done
lint-shell:
	@shellcheck -x -S warning -e SC1007 $(wildcard tests/*.sh tests/lint/*.sh tests/bench/*.sh) .ci/run
lint-tidy:
	@sh tests/lint/tidy.sh '-std=gnu17 -D_GNU_SOURCE -DVERSION="$(VERSION)" -Isrc $(LLHTTP_CFLAGS) $(PKG_CFLAGS)' \
		$(SRC) $(wildcard src/*.c)

format:
	@clang-format -i $(C_FILES)

# --- what must be there --------------------------------------------------------------

deps:
	@sh tests/deps.sh build test $(if $(FULL),full)
lint-deps:
	@sh tests/deps.sh build test lint

# --- Debian package ------------------------------------------------------------------

# In build/deb, with lintian's verdict.
deb: deb-deps
	@sh tests/deb.sh $(B)/deb
	lintian --fail-on error $(B)/deb/*.changes
deb-deps:
	@sh tests/deps.sh build deb

# --- install -------------------------------------------------------------------------

I = install -D -m 0644
# A unit names the programs where they are installed.
SUBST = sed -e 's|@sbindir@|$(sbindir)|g' -e 's|@bindir@|$(bindir)|g' -e 's|@sysconfdir@|$(sysconfdir)|g'
UNITS = callbackd.service callbackd.socket callbackd-tls.socket callbackd-control.socket \
        callbackd-status.socket callbackd-hook@.socket callbackd-hook@.service
MAN   = $(notdir $(wildcard man/*.[1-9]))

install: all
	install -D -m 0755 $(B)/callbackd $(DESTDIR)$(sbindir)/callbackd
	install -D -m 0755 $(B)/callbackctl $(DESTDIR)$(bindir)/callbackctl
	@set -e; for u in $(UNITS); do \
		$(SUBST) systemd/$$u.in >$(B)/$$u; \
		echo "$(I) $$u $(DESTDIR)$(systemd_unitdir)"; \
		$(I) $(B)/$$u $(DESTDIR)$(systemd_unitdir)/$$u; done
	$(I) systemd/sysusers.d/callbackd.conf $(DESTDIR)$(sysusersdir)/callbackd.conf
	$(I) systemd/tmpfiles.d/callbackd.conf $(DESTDIR)$(tmpfilesdir)/callbackd.conf
	$(I) systemd/sealed.conf $(DESTDIR)$(datadir)/callbackd/sealed.conf
	$(I) systemd/callbackd.catalog $(DESTDIR)$(systemd_catalogdir)/callbackd.catalog
	@set -e; for m in $(MAN); do \
		echo "$(I) man/$$m $(DESTDIR)$(mandir)/man$${m##*.}"; \
		$(I) man/$$m $(DESTDIR)$(mandir)/man$${m##*.}/$$m; done
	@set -e; if [ -e conf/completions/callbackctl.bash ]; then \
		$(I) conf/completions/callbackctl.bash $(DESTDIR)$(bashcompletiondir)/callbackctl; fi; \
	if [ -e conf/completions/_callbackctl ]; then \
		$(I) conf/completions/_callbackctl $(DESTDIR)$(zshcompletiondir)/_callbackctl; fi
	$(I) conf/callbackd-alerts.yml $(DESTDIR)$(docdir)/callbackd-alerts.yml
	@# A configuration that is there is the administrator's.
	install -d -m 0755 $(DESTDIR)$(sysconfdir)/callbackd $(DESTDIR)$(sysconfdir)/callbackd/callbackd.conf.d \
		$(DESTDIR)$(sysconfdir)/callbackd/hooks
	@if [ -e $(DESTDIR)$(sysconfdir)/callbackd/callbackd.conf ]; then \
		echo "$(DESTDIR)$(sysconfdir)/callbackd/callbackd.conf is kept as it is"; \
	else $(I) conf/callbackd.conf $(DESTDIR)$(sysconfdir)/callbackd/callbackd.conf; fi
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then \
		echo "Now: systemd-sysusers && systemd-tmpfiles --create && journalctl --update-catalog"; \
		echo "     systemctl daemon-reload && systemctl enable --now callbackd"; fi

# The configuration and the state stay: they are not ours to delete.
uninstall:
	rm -f $(DESTDIR)$(sbindir)/callbackd $(DESTDIR)$(bindir)/callbackctl
	rm -f $(addprefix $(DESTDIR)$(systemd_unitdir)/,$(UNITS))
	rm -f $(DESTDIR)$(datadir)/callbackd/sealed.conf
	rm -f $(DESTDIR)$(sysusersdir)/callbackd.conf $(DESTDIR)$(tmpfilesdir)/callbackd.conf
	rm -f $(DESTDIR)$(systemd_catalogdir)/callbackd.catalog
	rm -f $(foreach m,$(MAN),$(DESTDIR)$(mandir)/man$(subst .,,$(suffix $(m)))/$(m))
	rm -f $(DESTDIR)$(docdir)/callbackd-alerts.yml
	rm -f $(DESTDIR)$(bashcompletiondir)/callbackctl $(DESTDIR)$(zshcompletiondir)/_callbackctl

clean:
	rm -rf build build-*

-include $(OBJ:.o=.d) $(B)/src/callbackd.d $(B)/src/callbackctl.d $(UNIT:%=%.d) $(FUZZ:%=%.d) $(BENCH:%=%.d)

.DELETE_ON_ERROR:
.PHONY: all unit pytest check check-full demo fuzz fuzz-run bench bench-growth bench-hooks format deps lint-deps install \
	uninstall clean lint lint-format lint-floors lint-headers lint-size lint-keys lint-catalog \
	lint-units lint-man lint-shell lint-tidy
