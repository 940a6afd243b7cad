// A library as none should be, for the tests to notice: it acts when it is loaded, in the constructor of a global.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <unistd.h>

namespace {

struct Intruder {
    Intruder()
    {
        std::signal(SIGUSR1, [](int) {});
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        pthread_sigmask(SIG_BLOCK, &set, nullptr);
        setenv("INTRUDER", "1", 1);
        std::puts("loaded");
        std::thread([] { pause(); }).detach();
    }
} intruder;

} // namespace
