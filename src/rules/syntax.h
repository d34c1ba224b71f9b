/*
 * The text of a configuration file as systemd.syntax(7) has it, cut into section headers
 * and assignments. Pure: knows no key, keeps no file. Lines that are no line are items
 * too, so that a caller reports all of them.
 */
#ifndef RULES_SYNTAX_H
#define RULES_SYNTAX_H

#include "base/text.h"

/* A line, continuations joined, may be this long. */
#define SYNTAX_LINE_MAX_BYTES (1024u * 1024)

enum syntax_kind { SYNTAX_END, SYNTAX_SECTION, SYNTAX_ASSIGNMENT, SYNTAX_PROBLEM };

/* Slices are valid until the next call. */
struct syntax_item {
	enum syntax_kind kind;
	unsigned line;           /* from 1; where a continued line begins */
	struct bytes kind_name;  /* [Source eachlabs]: "Source" */
	struct bytes name;       /* "eachlabs"; BYTES_NONE in [Daemon] */
	struct bytes key, value; /* without surrounding blanks; a value may be empty */
	const char *problem;     /* static text, a whole sentence without full stop */
};

struct syntax {
	struct bytes rest;
	unsigned line;
	struct text joined;
};

void syntax_init(struct syntax *s, struct bytes text); /* borrows `text` */
void syntax_fini(struct syntax *s);
/* 0 (SYNTAX_END again and again at the end) or -ENOMEM. */
int syntax_next(struct syntax *s, struct syntax_item *ret) MUST_CHECK;

#endif
