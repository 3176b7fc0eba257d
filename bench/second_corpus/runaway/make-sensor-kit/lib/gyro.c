#include "sensors.h"

int gyro_read(void)
{
    return adc_read() / 2;
}
