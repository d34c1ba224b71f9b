/* The table of keys as lines, "Section Key default", for check-keys.sh. */
#include "rules/keys.h"

#include <stdio.h>

int main(void)
{
	size_t n;
	const struct key *k = keys_all(&n);
	for (size_t i = 0; i < n; i++)
		printf("%s %s %s\n", key_section_name(k[i].section), k[i].name,
			k[i].standard ? k[i].standard : "");
	return 0;
}
