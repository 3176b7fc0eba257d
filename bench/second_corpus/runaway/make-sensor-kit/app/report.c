#include <stdio.h>
#include "sensors.h"

int main(void)
{
    printf("%d %d\n", adc_read(), gyro_read());
}
