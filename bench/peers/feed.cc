/* The books of an L3 feed as they are usually written: with the maps of the C++ library, and with those of boost. Both
 * keep the queue of each level. */
#include "bench/peers/feed.h"

#include <list>
#include <map>
#include <new>
#include <unordered_map>
#include <vector>

#if __has_include(<boost/container/map.hpp>) && __has_include(<boost/unordered_map.hpp>)
#define WITH_BOOST
#include <boost/container/map.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/unordered_map.hpp>
#endif

#include "bench/peers/itch.h"

namespace
{

/* One side each; Books gives ladder, orders and queue their types. Prices of bids are negated: the best comes first. */
template <class Kind> struct Book {
    typename Kind::Levels levels[2];
};

template <class Kind> struct Books {
    std::vector<Book<Kind>> book;
    typename Kind::Orders   orders; /* one table for all: ids are unique */
};

struct Std {
    struct Order {
        uint64_t id;
        int64_t  qty;
    };
    struct Level {
        int64_t          qty = 0;
        std::list<Order> queue;
    };
    typedef std::map<int64_t, Level> Levels;
    struct Place {
        Levels::iterator           level;
        std::list<Order>::iterator order;
        uint32_t                   book, ask;
    };
    typedef std::unordered_map<uint64_t, Place> Orders;

    static void add(Books<Std> &b, uint32_t book, uint64_t id, uint32_t ask, int64_t key, int64_t qty)
    {
        const auto level = b.book[book].levels[ask].try_emplace(key).first;
        level->second.qty += qty;
        level->second.queue.push_back({id, qty});
        b.orders.emplace(id, Place{level, std::prev(level->second.queue.end()), book, ask});
    }
    static void reduce(Books<Std> &b, uint64_t id, int64_t qty) /* 0: all */
    {
        const auto at    = b.orders.find(id);
        Place     &place = at->second;
        Level     &level = place.level->second;
        qty              = qty == 0 ? place.order->qty : qty;
        level.qty -= qty;
        place.order->qty -= qty;
        if (place.order->qty == 0) {
            level.queue.erase(place.order);
            if (level.queue.empty()) {
                b.book[place.book].levels[place.ask].erase(place.level);
            }
            b.orders.erase(at);
        }
    }
    static int64_t best_qty(const Levels &levels)
    {
        return levels.begin()->second.qty;
    }
    static int64_t best_key(const Levels &levels)
    {
        return levels.begin()->first;
    }
};

#ifdef WITH_BOOST
struct Boost {
    struct Order : boost::intrusive::list_base_hook<> {
        int64_t  key, qty;
        uint32_t book, ask;
    };
    struct Level {
        int64_t                                                                    qty = 0;
        boost::intrusive::list<Order, boost::intrusive::constant_time_size<false>> queue;
    };
    typedef boost::container::map<int64_t, Level> Levels;
    typedef boost::unordered_map<uint64_t, Order> Orders;

    static void add(Books<Boost> &b, uint32_t book, uint64_t id, uint32_t ask, int64_t key, int64_t qty)
    {
        Order &order = b.orders[id];
        Level &level = b.book[book].levels[ask][key];
        order.key    = key;
        order.qty    = qty;
        order.book   = book;
        order.ask    = ask;
        level.qty += qty;
        level.queue.push_back(order);
    }
    static void reduce(Books<Boost> &b, uint64_t id, int64_t qty)
    {
        const auto at     = b.orders.find(id);
        Order     &order  = at->second;
        Levels    &levels = b.book[order.book].levels[order.ask];
        const auto level  = levels.find(order.key);
        qty               = qty == 0 ? order.qty : qty;
        level->second.qty -= qty;
        order.qty -= qty;
        if (order.qty == 0) {
            level->second.queue.erase(level->second.queue.iterator_to(order));
            if (level->second.queue.empty()) {
                levels.erase(level);
            }
            b.orders.erase(at);
        }
    }
    static int64_t best_qty(const Levels &levels)
    {
        return levels.begin()->second.qty;
    }
    static int64_t best_key(const Levels &levels)
    {
        return levels.begin()->first;
    }
};
#endif

template <class Kind> uint64_t fold(uint64_t sum, const Book<Kind> &book)
{
    int64_t px[2] = {0, 0}, qty[2] = {0, 0};
    for (int ask = 0; ask < 2; ask++) {
        if (!book.levels[ask].empty()) {
            px[ask]  = Kind::best_key(book.levels[ask]) * (ask ? 1 : -1);
            qty[ask] = Kind::best_qty(book.levels[ask]);
        }
    }
    return itch_fold(sum, px[0], qty[0], px[1], qty[1]);
}

template <class Kind> void *make(uint32_t books, uint32_t orders)
{
    auto *b = new Books<Kind>;
    b->book.resize(books);
    b->orders.reserve(orders);
    return b;
}

template <class Kind> uint64_t run(void *state, const uint8_t *at, uint32_t messages, uint64_t sum)
{
    Books<Kind> &b = *static_cast<Books<Kind> *>(state);
    for (uint32_t i = 0; i < messages; i++) {
        const uint8_t *m    = at + 2;
        const uint32_t book = itch_u16(m + ITCH_LOCATE);
        const uint64_t id   = itch_u64(m + ITCH_ID);
        at += 2 + itch_u16(at);
        if (m[0] == 'A') {
            const uint32_t ask = m[ITCH_SIDE] == 'S';
            const int64_t  px  = itch_u32(m + ITCH_PX);
            Kind::add(b, book, id, ask, ask ? px : -px, itch_u32(m + ITCH_ADD_QTY));
        } else {
            Kind::reduce(b, id, m[0] == 'D' ? 0 : itch_u32(m + ITCH_QTY));
        }
        sum = fold(sum, b.book[book]);
    }
    return sum;
}

template <class Kind> void drop(void *state)
{
    auto *b = static_cast<Books<Kind> *>(state);
    for (Book<Kind> &book : b->book) {
        book.levels[0].clear();
        book.levels[1].clear();
    }
    delete b;
}

const feed_peer_t feed_std = {"std::map + unordered_map", make<Std>, run<Std>, drop<Std>};
#ifdef WITH_BOOST
const feed_peer_t feed_boost = {"boost map + unordered_map", make<Boost>, run<Boost>, drop<Boost>};
#endif

} // namespace

extern "C" const feed_peer_t *const hwal_feed_peers[] = {&feed_std,
#ifdef WITH_BOOST
                                                         &feed_boost,
#endif
                                                         nullptr};
