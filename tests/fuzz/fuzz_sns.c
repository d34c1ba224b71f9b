/* Any body as a message of SNS; a certificate is asked for at SNS alone. */
#include "public.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	verify(VERIFY_SNS, NULL, 0, (struct bytes){(const char *)data, size});
	return 0;
}
