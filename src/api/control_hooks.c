/* Hooks on the control socket: how each of them is, to pause one and to let it go on. */
#include "api/call.h"
#include "flow/dispatch.h"
#include "io/log.h"

json_t *control_hooks_list(const struct flow *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->config->n_hooks; i++) {
		const struct hook *h = f->config->hooks[i];
		struct dispatch_look look = dispatch_look(f->dispatch, h->name);
		json_t *o = json_pack("{s:s, s:b, s:i, s:i, s:b, s:i}", "name", h->name,
			"paused", look.paused, "running", (int)look.running,
			"max_concurrent", (int)h->max_concurrent, "slowed",
			look.window != 0, "window",
			(int)(look.window ? look.window : h->max_concurrent));

		if (json_array_append_new(list, o) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static void on_paused(struct call *c)
{
	const struct store_pause *p = &c->ask.pause;
	const struct log_fields fields = {.hook = p->hook};

	if (p->op.result < 0) {
		call_store_error(c, p->op.result);
		return;
	}
	if (p->changed && p->paused)
		log_event(LOG_HOOK_PAUSED, &fields,
			"Hook %s is paused, by request: its runs wait", p->hook);
	else if (p->changed)
		log_event(LOG_HOOK_RESUMED, &fields, "Hook %s goes on, by request",
			p->hook);
	dispatch_pause(c->flow->dispatch, p->hook, p->paused);
	call_json(c, 200, json_pack("{s:s, s:b}", "hook", p->hook, "paused", p->paused));
}

static void pause_hook(struct call *c, bool paused)
{
	if (!config_hook(c->flow->config, bytes_of(c->names[0]))) {
		call_error(c, 404, "no such hook");
		return;
	}
	call_prepare(c, STORE_PAUSE);
	c->ask.pause.hook = c->names[0];
	c->ask.pause.paused = paused;
	call_ask(c, on_paused);
}

void control_hooks_pause(struct call *c)
{
	pause_hook(c, true);
}

void control_hooks_resume(struct call *c)
{
	pause_hook(c, false);
}
