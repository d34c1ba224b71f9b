/* Any text as a bearer token. */
#include "public.h"

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(text_fini) struct text value = TEXT_EMPTY;

	text_adds(&value, "Bearer ");
	text_add(&value, (struct bytes){(const char *)data, size});
	const struct message_header h = {bytes_of("Authorization"), text_bytes(&value)};
	verify(VERIFY_JWT, &h, 1, bytes_of("{}"));
	return 0;
}
