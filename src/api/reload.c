/* Reload; see reload.h. */
#include "api/reload.h"

#include "base/clock.h"
#include "base/text.h"
#include "flow/ask.h"
#include "flow/dispatch.h"
#include "flow/keyring.h"
#include "io/conffile.h"
#include "io/log.h"
#include "io/notify.h"

#include <string.h>
#include <syslog.h>

static void swap_config(struct flow *flow, struct config *config)
{
	struct config *old = flow->config;

	flow->config = config;
	store_set_limits(flow->store, config->retention_usec, config->min_free_bytes);
	log_set_level(flow->verbose ? LOG_DEBUG : config->log_level);
	dispatch_refresh(flow->dispatch);
	ask_refresh(flow->ask);
	keyring_refresh(flow->keyring);
	config_unref(old);
	free(flow->reload.problem);
	flow->reload = (struct flow_reload){.loaded_usec = clock_wall_usec()};
}

static void note_refusal(struct flow *flow, const char *problems)
{
	free(flow->reload.problem);
	flow->reload.refused_usec = clock_wall_usec();
	flow->reload.problem = problems ? bytes_dup(bytes_of(problems)) : NULL;
}

void reload_log_report(const struct config_report *report)
{
	for (size_t i = 0; i < report->size; i++)
		log_event(report->problems[i].warning ? LOG_CONFIG_WARNING
						      : LOG_CONFIG_ERROR,
			NULL, "%s", report->problems[i].text);
}

static char *join_errors(const struct config_report *report, const char *more)
{
	struct text t = TEXT_EMPTY;

	for (size_t i = 0; i < report->size; i++)
		if (!report->problems[i].warning)
			text_addf(
				&t, "%s%s", t.size ? "\n" : "", report->problems[i].text);
	if (more)
		text_addf(&t, "%s%s", t.size ? "\n" : "", more);
	return text_take(&t);
}

int reload_config(struct flow *flow, struct listeners *listeners, char **ret_problems)
{
	struct config_report report = {0};
	struct config *config = NULL;
	CLEANUP(freep) char *warning = NULL;
	CLEANUP(freep) char *error = NULL;

	*ret_problems = NULL;
	notify_reloading();
	int r = conffile_load(flow->config_path, false, &report, &config);
	if (r == 0)
		r = listeners_reconfigure(
			listeners, flow->config, config, &warning, &error);
	reload_log_report(&report);
	if (r == 0) {
		swap_config(flow, config);
		log_event(LOG_RELOADED, NULL, "Configuration reloaded from %s",
			flow->config_path);
	} else {
		config_unref(config);
		*ret_problems = join_errors(&report, error   ? error
						     : r < 0 ? strerrordesc_np(-r)
							     : NULL);
		note_refusal(flow, *ret_problems);
		log_event(LOG_RELOAD_FAILED, NULL,
			"Configuration not reloaded, the old one stays at work%s%s",
			error ? ": " : "", error ? error : "");
	}
	if (warning)
		log_event(LOG_CONFIG_WARNING, NULL, "%s", warning);
	config_report_fini(&report);
	notify_ready();
	return r == 0 ? 0 : 1;
}
