// herald.hpp: a call stored and found, failures as results, handles that move and free themselves. Compiled with exceptions
// and RTTI, and without.
#include <herald.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <unistd.h>

namespace {

int failed_count = 0;

/** Holds for true and for what a call came to, if it succeeded. */
template <typename Result>
void check(const Result &holds, const char *what, int line)
{
    if (!static_cast<bool>(holds)) {
        failed_count++;
        std::fprintf(stderr, "api.cpp:%d: does not hold: %s\n", line, what);
    }
}

#define HOLDS(what) check((what), #what, __LINE__)

#if defined(__cpp_exceptions)
#define MAY_THROW(what) throw std::string(what)
#else
#define MAY_THROW(what) static_cast<void>(what)
#endif

const std::vector<herald::property> memory{{"durability", "memory"}, {"memory", "16MiB"}};

/** What there must be, or the program ends: a failure with its words. */
template <typename Value>
Value needed(herald::result<Value> result)
{
    if (result)
        return *std::move(result);
    std::fprintf(stderr, "%s: %s\n", herald::status_name(result.status()).c_str(), result.error().what());
    std::exit(1);
}

herald::engine started(const std::vector<herald::property> &properties)
{
    auto engine = needed(herald::engine::open(properties));
    HOLDS(engine.start());
    return engine;
}

void a_call_is_stored_and_found()
{
    auto engine = started(memory);
    const std::string key = needed(herald::generate_key()), called = "+1 (202) 555-0123";
    const herald::bytes sealed = needed(herald::seal(needed(herald::public_key(key)), called, "a.b.c"));
    const std::string id = needed(engine.store(called, sealed));
    int items = 0, opened = 0, named = 0;
    // The list outlives the result that it came in.
    for (const herald::item &item : *engine.retrieve("12025550123")) {
        const auto passport = needed(herald::open(key, called, item.body));
        items++;
        opened += passport == "a.b.c";
        named += passport && item.id == id && item.body == sealed;
    }
    HOLDS(opened == 1 && named == 1 && items > 1);
    HOLDS(!needed(herald::open(needed(herald::generate_key()), called, sealed)).has_value());
    HOLDS(engine.close());
}

void a_client_stores_at_its_service()
{
    std::vector<herald::property> served(memory);
    served.push_back({"unix_socket", "client.sock"});
    auto service = started(served);
    auto client = needed(herald::engine::client("unix:client.sock", {{"service_deadline", "60s"}}));
    HOLDS(client.start());
    const std::string id = needed(client.store("12025550177", herald::bytes(640)));
    bool is_there = false;
    for (const herald::item &item : needed(service.retrieve("12025550177")))
        is_there |= item.id == id;
    HOLDS(is_there);
    HOLDS(service.close());
    HOLDS(client.retrieve("12025550177").status() == HERALD_NETWORK);
    HOLDS(herald::engine::client("nowhere").status() == HERALD_BAD_VALUE);
}

void a_batch_is_stored_and_found()
{
    auto engine = started(memory);
    HOLDS(engine.store_messages({{"12025550123", herald::bytes(640)}}).status() == HERALD_BAD_VALUE);
    const auto results =
        needed(engine.store_batch({{"12025550123", herald::bytes(640)}, {"nobody", herald::bytes(640)}}));
    HOLDS(results.size() == 2 && results[0].status == HERALD_OK && results[1].status == HERALD_BAD_NUMBER);
    const auto lists = needed(engine.retrieve_batch({"12025550199", "12025550123"}));
    int named = 0;
    for (const herald::item &item : lists.at(1))
        named += item.id == results[0].id;
    HOLDS(lists.size() == 2 && !lists[0].empty() && named == 1);
    HOLDS(engine.retrieve_batch({"nobody"}).status() == HERALD_BAD_NUMBER);
}

void failures_have_a_status_and_words()
{
    const auto misspelt = herald::engine::open({{"durabilty", "memory"}});
    HOLDS(!misspelt && misspelt.status() == HERALD_UNKNOWN_PROPERTY);
    HOLDS(misspelt.error().status() == HERALD_UNKNOWN_PROPERTY);
    HOLDS(std::string(misspelt.error().what()).find("durability") != std::string::npos);
    auto engine = needed(herald::engine::open(memory));
    HOLDS(engine.retrieve("12025550123").status() == HERALD_WRONG_STATE);
    HOLDS(engine.start() && engine.start().status() == HERALD_WRONG_STATE);
    HOLDS(engine.store("nobody", herald::bytes(640)).status() == HERALD_BAD_NUMBER);
    HOLDS(engine.store("12025550123", herald::bytes(641)).status() == HERALD_BAD_SIZE);
    HOLDS(engine.address(0).status() == HERALD_OUT_OF_RANGE);
    HOLDS(engine.gateway_store({}, [](const auto &) {}).status() == HERALD_WRONG_STATE);
    HOLDS(engine.gateway_fetch({}, [](const auto &) {}).status() == HERALD_WRONG_STATE);
    HOLDS(herald::open("{}", "12025550123", herald::bytes(640)).status() == HERALD_BAD_KEY);
    HOLDS(herald::engine::open_file("nowhere.toml").status() == HERALD_BAD_VALUE);
    HOLDS(herald::status_name(HERALD_BAD_KEY) == "HERALD_BAD_KEY");
    HOLDS(herald::status_name(7) == "7");
}

void empty_functions_are_refused()
{
    auto engine = needed(herald::engine::open(memory));
    HOLDS(engine.set_certificate_supplier(nullptr).status() == HERALD_NULL_ARGUMENT);
    HOLDS(engine.start());
    HOLDS(engine.place({}, nullptr).status() == HERALD_NULL_ARGUMENT);
    HOLDS(engine.check({}, nullptr).status() == HERALD_NULL_ARGUMENT);
    HOLDS(engine.gateway_store({}, nullptr).status() == HERALD_NULL_ARGUMENT);
    HOLDS(engine.gateway_fetch({}, nullptr).status() == HERALD_NULL_ARGUMENT);
    HOLDS(engine.discover({}, nullptr).status() == HERALD_NULL_ARGUMENT);
    herald_subscribe_options number{};
    number.number = herald::text("12025550123");
    HOLDS(engine.subscribe(number, nullptr).status() == HERALD_NULL_ARGUMENT);
    HOLDS(engine.subscribe(number, [](const herald_arrived &) {}));
    HOLDS(engine.store("12025550123", herald::bytes(640)) && engine.close());
}

#if defined(__cpp_exceptions)
void values_are_there_or_thrown()
{
    HOLDS(herald::engine::open(memory).value().start());
    herald::result<int> seven(7);
    const herald::result<int> none(herald::failure(HERALD_FULL, "no room"));
    HOLDS(seven.value()++ == 7 && seven.value() == 8);
    int caught = 0;
    const auto fails = [&caught](auto &&work) {
        try {
            work();
        } catch (const herald::failure &failure) {
            caught += failure.status() == HERALD_FULL && std::string(failure.what()) == "no room";
        }
    };
    fails([&] { static_cast<void>(none.value()); });
    fails([&] { static_cast<void>(herald::result<int>(none).value()); });
    fails([&] { herald::result<void>(none.error()).value(); });
    herald::result<void>().value();
    HOLDS(caught == 3);
}
#endif

void objects_move_and_what_they_leave_holds_nothing()
{
    auto first = needed(herald::engine::open(memory));
    herald::engine second(std::move(first));
    HOLDS(first.start().status() == HERALD_NULL_ARGUMENT);
    HOLDS(second.start());
    first = std::move(second);
    auto stats = needed(first.stats()), other(std::move(stats));
    HOLDS(needed(other.size()) > 20);
    HOLDS(stats.size().status() == HERALD_NULL_ARGUMENT);
    HOLDS(stats.find("herald_stored_total").status() == HERALD_NULL_ARGUMENT);
    stats = std::move(other);
    HOLDS(needed(stats.size()) > 20);
}

void reports_arrive_and_what_they_throw_stays_outside()
{
    std::atomic<int> heard{0};
    auto alive = std::make_shared<int>(0);
    const auto hear = [&heard, alive](int, std::string_view line) {
        heard += !line.empty();
        MAY_THROW("swallowed");
    };
    {
        auto engine = needed(herald::engine::open({{"data", "cpp"}, {"memory", "16MiB"}}, hear));
        HOLDS(heard >= 1 && alive.use_count() >= 2);
        HOLDS(engine.start());
    }
    HOLDS(alive.use_count() == 2); // Ours, and that in `hear`: the engine's copy is gone.
    HOLDS(herald::engine::open({{"data", ""}}, hear).status() == HERALD_BAD_VALUE);
    HOLDS(alive.use_count() == 2);
}

void a_host_with_a_loop_turns_on_its_thread_only()
{
    auto engine =
        needed(herald::engine::open({{"durability", "memory"}, {"memory", "16MiB"}, {"unix_socket", "cpp.sock"}}));
    HOLDS(engine.descriptor().status() == HERALD_WRONG_STATE);
    HOLDS(engine.start_hosted());
    HOLDS(needed(engine.descriptor()) >= 0 && needed(engine.address(0)) == "unix:cpp.sock");
    HOLDS(engine.turn(0));
    herald_status elsewhere = HERALD_OK, closed = HERALD_OK;
    std::thread([&] {
        elsewhere = engine.turn(0).status();
        closed = engine.close().status();
    }).join();
    HOLDS(elsewhere == HERALD_WRONG_THREAD && closed == HERALD_WRONG_THREAD);
    HOLDS(engine.turn(0)); // Who may not close it leaves it whole.
    HOLDS(engine.close());
    HOLDS(engine.turn(0).status() == HERALD_NULL_ARGUMENT);
    HOLDS(engine.close());
}

void subscribers_hear_and_stats_count()
{
    std::atomic<int> heard{0};
    auto alive = std::make_shared<int>(0);
    herald_subscribe_options options{};
    options.block = herald::text("1202555012x");
    auto engine = started(memory);
    {
        auto subscription = needed(engine.subscribe(options, [&heard, alive](const herald_arrived &arrived) {
            heard += arrived.body_len == 640;
            MAY_THROW("swallowed");
        }));
        HOLDS(engine.store("12025550123", herald::bytes(640)));
        HOLDS(engine.store("12025550199", herald::bytes(640)));
        for (int waits = 0; heard == 0 && waits < 1000; waits++)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        HOLDS(needed(subscription.left_out()) == 0);
    }
    HOLDS(heard == 1 && alive.use_count() == 1);
    const auto stats = needed(engine.stats());
    HOLDS(needed(stats.find("herald_stored_total")) == 2.0 && !needed(stats.find("herald_sold_total")));
    HOLDS(needed(stats.size()) > 20 && !needed(stats.name(0)).empty());
    HOLDS(needed(stats.text()).find("herald_stored_total 2\n") != std::string::npos);
    HOLDS(engine.drain_begin(0).status() == HERALD_WRONG_STATE);
    HOLDS(engine.drain(0));
    HOLDS(engine.stop());
    HOLDS(engine.retrieve("12025550123").status() == HERALD_WRONG_STATE);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 2 || chdir(argv[1]) != 0)
        return 2;
    int failed_cases = 0, cases = 0;
    const auto run = [&](const char *name, void (*test)()) {
        failed_count = 0;
        test();
        cases++;
        failed_cases += failed_count != 0;
        std::printf("%s %s\n", failed_count != 0 ? "FAILED" : "ok", name);
    };
#define RUN(test) run(#test, test)
    RUN(a_call_is_stored_and_found);
    RUN(a_client_stores_at_its_service);
    RUN(a_batch_is_stored_and_found);
    RUN(failures_have_a_status_and_words);
    RUN(empty_functions_are_refused);
#if defined(__cpp_exceptions)
    RUN(values_are_there_or_thrown);
#endif
    RUN(objects_move_and_what_they_leave_holds_nothing);
    RUN(reports_arrive_and_what_they_throw_stays_outside);
    RUN(a_host_with_a_loop_turns_on_its_thread_only);
    RUN(subscribers_hear_and_stats_count);
    std::printf("%d passed, %d failed\n", cases - failed_cases, failed_cases);
    return failed_cases != 0;
}
