#include "store.h"
#include <stdexcept>

void MetricStore::acquire()
{
    while (held_.test_and_set(std::memory_order_acquire))
        ;
}

void MetricStore::release()
{
    held_.clear(std::memory_order_release);
}

void MetricStore::record(const std::string &sample)
{
    acquire();
    size_t eq = sample.find('=');
    if (eq == 0 || eq == std::string::npos)
        throw std::invalid_argument("no name in sample: " + sample);
    values_[sample.substr(0, eq)] += std::stod(sample.substr(eq + 1));
    release();
}

double MetricStore::value(const std::string &name)
{
    acquire();
    auto it = values_.find(name);
    double v = it == values_.end() ? 0 : it->second;
    release();
    return v;
}

size_t MetricStore::size()
{
    acquire();
    size_t n = values_.size();
    release();
    return n;
}
