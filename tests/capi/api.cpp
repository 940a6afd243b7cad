// herald.hpp: a call stored and found, failures as exceptions, handles that move and free themselves.
#include <herald.hpp>

#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <unistd.h>

namespace {

int failed_count = 0;

void check(bool holds, const char *what, int line)
{
    if (!holds) {
        failed_count++;
        std::fprintf(stderr, "api.cpp:%d: does not hold: %s\n", line, what);
    }
}

#define HOLDS(what) check((what), #what, __LINE__)

/** The status that `work` throws; HERALD_OK if it throws none. */
template <typename Work>
herald_status thrown(Work &&work)
{
    try {
        work();
    } catch (const herald::failure &failure) {
        return failure.status();
    }
    return HERALD_OK;
}

const std::vector<herald::property> memory{{"durability", "memory"}, {"memory", "16MiB"}};

void a_call_is_stored_and_found()
{
    herald::engine engine(memory);
    engine.start();
    const std::string key = herald::generate_key(), called = "+1 (202) 555-0123";
    const herald::bytes sealed = herald::seal(herald::public_key(key), called, "a.b.c");
    const std::string id = engine.store(called, sealed);
    const herald::items items = engine.retrieve("12025550123");
    int opened = 0, named = 0;
    for (std::size_t index = 0; index < items.size(); index++) {
        const auto passport = herald::open(key, called, items.body(index));
        opened += passport == "a.b.c";
        named += items.id(index) == id;
    }
    HOLDS(opened == 1 && named == 1 && items.size() > 1);
    HOLDS(!herald::open(herald::generate_key(), called, sealed).has_value());
    engine.close();
    HOLDS(items.size() > 1);
}

void a_client_stores_at_its_service()
{
    std::vector<herald::property> served(memory);
    served.push_back({"unix_socket", "client.sock"});
    herald::engine service(served);
    service.start();
    herald::engine client = herald::engine::client("unix:client.sock", {{"service_deadline", "60s"}});
    client.start();
    const std::string id = client.store("12025550177", herald::bytes(640));
    const herald::items items = service.retrieve("12025550177");
    bool is_there = false;
    for (std::size_t index = 0; index < items.size(); index++)
        is_there |= items.id(index) == id;
    HOLDS(is_there);
    service.close();
    HOLDS(thrown([&] { client.retrieve("12025550177"); }) == HERALD_NETWORK);
    HOLDS(thrown([] { herald::engine::client("nowhere"); }) == HERALD_BAD_VALUE);
}

void a_batch_is_stored_and_found()
{
    herald::engine engine(memory);
    engine.start();
    const auto results = engine.store_batch({{"12025550123", herald::bytes(640)}, {"nobody", herald::bytes(640)}});
    HOLDS(results.size() == 2 && results[0].status == HERALD_OK && results[1].status == HERALD_BAD_NUMBER);
    const auto lists = engine.retrieve_batch({"12025550199", "12025550123"});
    int named = 0;
    for (std::size_t index = 0; index < lists.at(1).size(); index++)
        named += lists[1].id(index) == results[0].id;
    HOLDS(lists.size() == 2 && lists[0].size() > 0 && named == 1);
    HOLDS(thrown([&] { engine.retrieve_batch({"nobody"}); }) == HERALD_BAD_NUMBER);
}

void failures_are_exceptions_with_status_and_words()
{
    try {
        herald::engine engine({{"durabilty", "memory"}});
        HOLDS(false);
    } catch (const herald::failure &failure) {
        HOLDS(failure.status() == HERALD_UNKNOWN_PROPERTY);
        HOLDS(std::string(failure.what()).find("durability") != std::string::npos);
    }
    herald::engine engine(memory);
    HOLDS(thrown([&] { engine.retrieve("12025550123"); }) == HERALD_WRONG_STATE);
    engine.start();
    HOLDS(thrown([&] { engine.store("nobody", herald::bytes(640)); }) == HERALD_BAD_NUMBER);
    HOLDS(thrown([&] { engine.store("12025550123", herald::bytes(641)); }) == HERALD_BAD_SIZE);
    HOLDS(thrown([&] { engine.start(); }) == HERALD_WRONG_STATE);
    HOLDS(thrown([&] { engine.address(0); }) == HERALD_OUT_OF_RANGE);
    HOLDS(thrown([&] { herald::open("{}", "12025550123", herald::bytes(640)); }) == HERALD_BAD_KEY);
    HOLDS(herald::status_name(HERALD_BAD_KEY) == "HERALD_BAD_KEY");
    HOLDS(herald::status_name(7) == "7");
}

void objects_move_and_what_they_leave_holds_nothing()
{
    herald::engine first(memory);
    herald::engine second(std::move(first));
    HOLDS(thrown([&] { first.start(); }) == HERALD_NULL_ARGUMENT);
    second.start();
    first = std::move(second);
    herald::items items = first.retrieve("12025550123"), other(std::move(items));
    HOLDS(other.size() >= 1);
    HOLDS(thrown([&] { items.size(); }) == HERALD_NULL_ARGUMENT);
    items = std::move(other);
    HOLDS(items.size() >= 1);
}

void reports_arrive_and_what_they_throw_stays_outside()
{
    std::atomic<int> heard{0};
    auto alive = std::make_shared<int>(0);
    const auto hear = [&heard, alive](int, std::string_view line) {
        heard += !line.empty();
        throw std::string("swallowed");
    };
    {
        herald::engine engine({{"data", "cpp"}, {"memory", "16MiB"}}, hear);
        HOLDS(heard >= 1 && alive.use_count() >= 2);
        engine.start();
    }
    HOLDS(alive.use_count() == 2); // Ours, and that in `hear`: the engine's copy is gone.
    HOLDS(thrown([&] { herald::engine engine({{"data", ""}}, hear); }) == HERALD_BAD_VALUE);
    HOLDS(alive.use_count() == 2);
}

void a_host_with_a_loop_turns_on_its_thread_only()
{
    herald::engine engine({{"durability", "memory"}, {"memory", "16MiB"}, {"unix_socket", "cpp.sock"}});
    HOLDS(thrown([&] { engine.descriptor(); }) == HERALD_WRONG_STATE);
    engine.start_hosted();
    HOLDS(engine.descriptor() >= 0 && engine.address(0) == "unix:cpp.sock");
    engine.turn(0);
    herald_status elsewhere = HERALD_OK;
    std::thread([&] { elsewhere = thrown([&] { engine.turn(0); }); }).join();
    HOLDS(elsewhere == HERALD_WRONG_THREAD);
    engine.close();
    HOLDS(thrown([&] { engine.turn(0); }) == HERALD_NULL_ARGUMENT);
}

void subscribers_hear_and_stats_count()
{
    std::atomic<int> heard{0};
    auto alive = std::make_shared<int>(0);
    herald_subscribe_options options{};
    options.block = herald::text("1202555012x");
    herald::engine engine(memory);
    engine.start();
    {
        auto subscription = engine.subscribe(options, [&heard, alive](const herald_arrived &arrived) {
            heard += arrived.body_len == 640;
            throw std::string("swallowed");
        });
        engine.store("12025550123", herald::bytes(640));
        engine.store("12025550199", herald::bytes(640));
        for (int waits = 0; heard == 0 && waits < 1000; waits++)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        HOLDS(subscription.left_out() == 0);
    }
    HOLDS(heard == 1 && alive.use_count() == 1);
    const auto stats = engine.stats();
    HOLDS(stats.find("herald_stored_total") == 2.0 && !stats.find("herald_sold_total") && stats.size() > 20);
    HOLDS(!stats.name(0).empty() && stats.text().find("herald_stored_total 2\n") != std::string::npos);
    engine.drain(0);
    engine.stop();
    HOLDS(thrown([&] { engine.retrieve("12025550123"); }) == HERALD_WRONG_STATE);
    HOLDS(thrown([&] { herald::engine none(herald::file{"nowhere.toml"}); }) == HERALD_BAD_VALUE);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 2 || chdir(argv[1]) != 0)
        return 2;
    int failed_cases = 0, cases = 0;
    const auto run = [&](const char *name, void (*test)()) {
        failed_count = 0;
        const herald_status status = thrown(test);
        HOLDS(status == HERALD_OK);
        cases++;
        failed_cases += failed_count != 0;
        std::printf("%s %s\n", failed_count != 0 ? "FAILED" : "ok", name);
    };
#define RUN(test) run(#test, test)
    RUN(a_call_is_stored_and_found);
    RUN(a_client_stores_at_its_service);
    RUN(a_batch_is_stored_and_found);
    RUN(failures_are_exceptions_with_status_and_words);
    RUN(objects_move_and_what_they_leave_holds_nothing);
    RUN(reports_arrive_and_what_they_throw_stays_outside);
    RUN(a_host_with_a_loop_turns_on_its_thread_only);
    RUN(subscribers_hear_and_stats_count);
    std::printf("%d passed, %d failed\n", cases - failed_cases, failed_cases);
    return failed_cases != 0;
}
