/* The commands' functions, for the table in callbackctl.c. Each returns an exit status. */
#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

#include "ctl/ctl.h"

int cmd_status(struct ctl *ctl, const struct ctl_args *args);
int cmd_reload(struct ctl *ctl, const struct ctl_args *args);
int cmd_test(struct ctl *ctl, const struct ctl_args *args);
extern const struct ctl_option cmd_test_options[];

int cmd_presets(struct ctl *ctl, const struct ctl_args *args);
int cmd_verify(struct ctl *ctl, const struct ctl_args *args);
extern const struct ctl_option cmd_verify_options[];

int cmd_list(struct ctl *ctl, const struct ctl_args *args);
extern const struct ctl_option cmd_list_options[];
int cmd_runs(struct ctl *ctl, const struct ctl_args *args);
extern const struct ctl_option cmd_runs_options[];
/* runs --follow, in cmd_follow.c: what changes from now on, or after a number. */
struct follow {
	const char *state, *hook, *source; /* NULL: all */
	const char *after;                 /* NULL: from now */
};
int follow_runs(struct ctl *ctl, const struct follow *filter);

int cmd_show(struct ctl *ctl, const struct ctl_args *args);
int cmd_watch(struct ctl *ctl, const struct ctl_args *args);
extern const struct ctl_option cmd_watch_options[];

int cmd_wait(struct ctl *ctl, const struct ctl_args *args);
extern const struct ctl_option cmd_wait_options[];

int cmd_expect(struct ctl *ctl, const struct ctl_args *args);
extern const struct ctl_option cmd_expect_options[];
int cmd_forget(struct ctl *ctl, const struct ctl_args *args);
int cmd_replay(struct ctl *ctl, const struct ctl_args *args);
extern const struct ctl_option cmd_replay_options[];
int cmd_discard(struct ctl *ctl, const struct ctl_args *args);
extern const struct ctl_option cmd_discard_options[];
int cmd_pause(struct ctl *ctl, const struct ctl_args *args);
int cmd_resume(struct ctl *ctl, const struct ctl_args *args);

int cmd_serve(struct ctl *ctl, const struct ctl_args *args);
extern const struct ctl_option cmd_serve_options[];

int cmd_doctor(struct ctl *ctl, const struct ctl_args *args);
int cmd_backup(struct ctl *ctl, const struct ctl_args *args);
int cmd_restore(struct ctl *ctl, const struct ctl_args *args);
extern const struct ctl_option cmd_restore_options[];

int cmd_upload(struct ctl *ctl, const struct ctl_args *args);
extern const struct ctl_option cmd_upload_options[];

#endif
