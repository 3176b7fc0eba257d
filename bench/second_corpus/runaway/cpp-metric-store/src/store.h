#pragma once
#include <atomic>
#include <map>
#include <string>

// Counters and gauges by name. The sections under the flag are short.
class MetricStore {
public:
    void record(const std::string &sample);      // "name=number"
    double value(const std::string &name);
    size_t size();

private:
    void acquire();
    void release();

    std::atomic_flag held_ = ATOMIC_FLAG_INIT;
    std::map<std::string, double> values_;
};
