# callbackd: `make demo` shows it, `make check` proves it. See README.md.

prefix      ?= /usr/local
exec_prefix ?= $(prefix)
sbindir     ?= $(exec_prefix)/sbin
bindir      ?= $(exec_prefix)/bin
sysconfdir  ?= /etc
mandir      ?= $(prefix)/share/man
DESTDIR     ?=
SAN         ?=
B           ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
comma       := ,

VERSION := 0.1.0
PKGS    := libevent_core libevent_openssl libevent_pthreads openssl jansson libsystemd sqlite3 libcurl

CFLAGS   ?= -O2 -g
WARN     := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wvla -Wformat=2 -Wno-format-nonliteral -Werror=implicit
HARDEN   := -fstack-protector-strong -fPIE $(if $(SAN),,-D_FORTIFY_SOURCE=3)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
LLHTTP   := /usr/share/llhttp

ALL_CFLAGS = -std=gnu17 $(CFLAGS) $(WARN) $(HARDEN) $(SANFLAGS) -D_GNU_SOURCE \
             -DVERSION='"$(VERSION)"' -Isrc -I/usr/share/include/llhttp -MMD -MP -pthread \
             $(shell pkg-config --cflags $(PKGS))
ALL_LDFLAGS = $(LDFLAGS) $(SANFLAGS) -pie -Wl,-z,relro,-z,now -pthread
LIBS       = $(shell pkg-config --libs $(PKGS))

FLOORS := base rules io flow api ctl
SRC    := $(foreach f,$(FLOORS),$(wildcard src/$(f)/*.c))
OBJ    := $(SRC:%.c=$(B)/%.o) $(B)/llhttp/llhttp.o $(B)/llhttp/api.o $(B)/llhttp/http.o
UNIT   := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))

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
	$(CC) -O2 -g -fPIE $(SANFLAGS) -DLLHTTP_STRICT_MODE=1 -I/usr/share/include/llhttp -c -o $@ $<

# Unit tests: `make unit` runs all, `make build/unit/test_x` makes one.
$(B)/unit/%: tests/unit/%.c $(B)/libcallbackd.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MF $@.d -Itests/unit -o $@ $< $(B)/libcallbackd.a $(LIBS) -lcmocka

unit: $(UNIT)
	@for t in $(UNIT); do echo "== $$t"; $$t || exit 1; done

clean:
	rm -rf build build-*

-include $(OBJ:.o=.d) $(B)/src/callbackd.d $(B)/src/callbackctl.d $(UNIT:%=%.d)

.PHONY: all unit clean
