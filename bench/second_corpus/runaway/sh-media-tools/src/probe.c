#include "config.h"

int have_opus(void)
{
#ifdef WITH_OPUS
    return 1;
#else
    return 0;
#endif
}
