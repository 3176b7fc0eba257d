#include "mixer.h"
#include <cstdio>

int main()
{
    for (std::size_t i = 0; i < 16; i++)
        std::printf("%.4f\n", mix(i * 512, 0.5f));
}
