/* The record that everything of this floor is given; see flow.h. */
#include "flow/flow.h"

#include <event2/event.h>

void flow_moved(struct flow *flow)
{
	static const struct timeval soon = {1, 0};

	if (flow->moved && !evtimer_pending(flow->moved, NULL))
		evtimer_add(flow->moved, &soon);
}
