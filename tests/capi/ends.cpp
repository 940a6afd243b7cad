// Programs that end with an engine whose data folder is in use: whoever closes it after main, a static or a handler that is
// older than the engine, still stores and closes as before; and nobody has to, nor has a child. ends WAY FOLDER
#include <herald.hpp>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

const std::string number = "12025550123";
std::string way;

/** Constructed before main, so destroyed after whatever the first open of a folder constructs. */
std::optional<herald::engine> kept;

/** What there must be, or the process ends at once. */
template <typename Value>
Value needed(herald::result<Value> result, const char *what)
{
    if (!result) {
        std::fprintf(stderr, "%s: %s: %s\n", way.c_str(), what, result.error().what());
        std::_Exit(1);
    }
    if constexpr (!std::is_void_v<Value>)
        return *std::move(result);
}

/** Stores, again if the disk is behind, as it may be on a busy machine under valgrind; a minute long at most. */
std::string stored(const std::string &called, const char *what)
{
    auto id = kept->store(called, herald::bytes(640));
    for (int waits = 0; id.status() == HERALD_DISK && waits < 600; waits++) {
        usleep(100000);
        id = kept->store(called, herald::bytes(640));
    }
    return needed(std::move(id), what);
}

void store_and_close()
{
    const std::string id = stored(number, "the last store");
    needed(kept->close(), "close");
    std::ofstream("id") << id;
}

/** As `kept`, and destroyed before it. */
struct last {
    ~last()
    {
        if (way == "static")
            store_and_close();
    }
} closes;

herald::engine open(const char *folder)
{
    auto engine = needed(herald::engine::open({{"data", folder}, {"memory", "16MiB"}, {"durability", "buffered"}}), "open");
    needed(engine.start(), "start");
    return engine;
}

/** Whether the last placement of a process before this one is there. */
int is_found(const char *folder)
{
    std::string id;
    std::ifstream("id") >> id;
    auto engine = open(folder);
    bool is_there = false;
    for (const herald::item &item : needed(engine.retrieve(number), "retrieve"))
        is_there |= item.id == id;
    needed(engine.close(), "close");
    return is_there ? 0 : 1;
}

/** Stores for as long as there is a process. */
void store_on(herald::engine *engine)
{
    for (unsigned line = 1000000;; line = line == 9999999 ? 1000000 : line + 1)
        static_cast<void>(engine->store("1202" + std::to_string(line), herald::bytes(640)));
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    way = argv[1];
    if (way == "found")
        return is_found(argv[2]);
    if (way == "handler" && std::atexit(store_and_close) != 0)
        return 2;
    if (way == "never") {
        std::thread(store_on, new herald::engine(open(argv[2]))).detach();
        usleep(20000);
        return 0;
    }
    kept = open(argv[2]);
    for (unsigned line = 1000; line < 1100; line++)
        stored("1202555" + std::to_string(line), "store");
    if (way != "child")
        return 0;
    const pid_t child = fork();
    if (child == 0)
        return 0;
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        std::fprintf(stderr, "child: it ended with %d\n", status);
    store_and_close();
    return status != 0;
}
