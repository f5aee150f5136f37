/* Matching books as one would write them first: levels in std::map or in Boost's flat_map, each a std::list of orders,
 * found again by std::unordered_map; and with Boost's intrusive containers, orders in a pool. */
#include "bench/peers/orders.h"

#include <boost/container/flat_map.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <boost/intrusive/unordered_set.hpp>

#include <deque>
#include <list>
#include <map>
#include <unordered_map>
#include <vector>

namespace
{

struct order_t {
    uint64_t id;
    int64_t  qty;
    int64_t  key; /* of its level: the smallest is the best */
    uint32_t owner;
    bool     sell;
};

int64_t key_of(bool sell, int64_t px)
{
    return sell ? px : -px;
}

/* levels_t: an ordered map from key to a list of orders. */
template <typename levels_t> struct list_book {
    using queue_t = std::list<order_t>;
    levels_t                                         sides[2];
    std::unordered_map<uint64_t, queue_t::iterator> index;

    bool resting(uint64_t id) const
    {
        return index.find(id) != index.end();
    }
    void add(const orders_event_t &event)
    {
        const int64_t key   = key_of(event.sell, event.px);
        queue_t      &queue = sides[event.sell][key];
        queue.push_back({event.id, event.qty, key, event.owner, event.sell != 0});
        index.emplace(event.id, std::prev(queue.end()));
    }
    const order_t *best(bool sell) const
    {
        return sides[sell].empty() ? nullptr : &sides[sell].begin()->second.front();
    }
    void reduce(bool sell, int64_t qty)
    {
        sides[sell].begin()->second.front().qty -= qty;
    }
    int64_t remove(uint64_t id)
    {
        const auto found = index.find(id);
        if (found == index.end()) {
            return -1;
        }
        const auto    order = found->second;
        const int64_t qty   = order->qty;
        auto         &side  = sides[order->sell];
        const auto    level = side.find(order->key);
        level->second.erase(order);
        if (level->second.empty()) {
            side.erase(level);
        }
        index.erase(found);
        return qty;
    }
};

struct level_node;

struct order_node : boost::intrusive::list_base_hook<>, boost::intrusive::unordered_set_base_hook<> {
    order_t     order;
    level_node *level;
};
struct order_id {
    using type = uint64_t;
    uint64_t operator()(const order_node &node) const
    {
        return node.order.id;
    }
};

struct level_node : boost::intrusive::set_base_hook<> {
    int64_t                            key;
    boost::intrusive::list<order_node> queue;
};
struct level_key {
    using type = int64_t;
    int64_t operator()(const level_node &node) const
    {
        return node.key;
    }
};

template <typename node_t> struct pool { /* nodes never move; the last one given back goes first */
    std::deque<node_t>    nodes;
    std::vector<node_t *> spare;

    node_t *take()
    {
        if (spare.empty()) {
            return &nodes.emplace_back();
        }
        node_t *node = spare.back();
        spare.pop_back();
        return node;
    }
};

struct id_hash {
    size_t operator()(uint64_t id) const
    {
        return (id * 0x9E3779B97F4A7C15u) >> 32;
    }
};

struct intrusive_book {
    using index_t = boost::intrusive::unordered_set<order_node, boost::intrusive::key_of_value<order_id>,
                                                    boost::intrusive::hash<id_hash>,
                                                    boost::intrusive::power_2_buckets<true>>;
    pool<order_node>                                                                orders;
    pool<level_node>                                                                levels;
    boost::intrusive::set<level_node, boost::intrusive::key_of_value<level_key>>    sides[2];
    std::vector<index_t::bucket_type>                                               buckets;
    index_t                                                                         index;

    intrusive_book() : buckets(16384), index(index_t::bucket_traits(buckets.data(), buckets.size())) {}
    ~intrusive_book()
    {
        index.clear();
        for (auto &side : sides) {
            for (auto &level : side) {
                level.queue.clear();
            }
            side.clear();
        }
    }

    bool resting(uint64_t id) const
    {
        return index.find(id) != index.end();
    }
    void add(const orders_event_t &event)
    {
        const int64_t key  = key_of(event.sell, event.px);
        auto         &side = sides[event.sell];
        auto          at   = side.lower_bound(key);
        if (at == side.end() || at->key != key) {
            level_node *level = levels.take();
            level->key        = key;
            at                = side.insert_before(at, *level);
        }
        order_node *node = orders.take();
        node->order      = {event.id, event.qty, key, event.owner, event.sell != 0};
        node->level      = &*at;
        at->queue.push_back(*node);
        index.insert(*node);
    }
    const order_t *best(bool sell) const
    {
        return sides[sell].empty() ? nullptr : &sides[sell].begin()->queue.front().order;
    }
    void reduce(bool sell, int64_t qty)
    {
        sides[sell].begin()->queue.front().order.qty -= qty;
    }
    int64_t remove(uint64_t id)
    {
        const auto found = index.find(id);
        if (found == index.end()) {
            return -1;
        }
        order_node *node  = &*found;
        level_node *level = node->level;
        index.erase(found);
        level->queue.erase(level->queue.iterator_to(*node));
        if (level->queue.empty()) {
            sides[node->order.sell].erase(sides[node->order.sell].iterator_to(*level));
            levels.spare.push_back(level);
        }
        orders.spare.push_back(node);
        return node->order.qty;
    }
};

template <typename book_t> struct peer {
    static void *open(uint32_t book_count)
    {
        return new std::deque<book_t>(book_count);
    }
    static void close(void *books)
    {
        delete static_cast<std::deque<book_t> *>(books);
    }
    static void take(book_t &book, const orders_event_t &event, orders_out_t *out)
    {
        int64_t left = event.qty;
        for (const order_t *maker; left > 0 && (maker = book.best(!event.sell)) != nullptr;) {
            if (maker->key > key_of(!event.sell, event.px) || maker->owner == event.owner) {
                break;
            }
            const int64_t  qty = maker->qty < left ? maker->qty : left;
            const uint64_t id  = maker->id;
            left -= qty;
            orders_put(out, ORDERS_TRADE, &event, id, key_of(!event.sell, maker->key), qty, maker->qty - qty);
            if (qty == maker->qty) {
                book.remove(id);
            } else {
                book.reduce(!event.sell, qty);
            }
        }
        orders_put(out, ORDERS_ACK, &event, 0, event.px, event.qty, left);
    }
    static void run(void *books, const orders_event_t *events, uint32_t n, orders_out_t *out)
    {
        for (const orders_event_t *event = events; event < events + n; event++, out->seq++) {
            book_t &book = (*static_cast<std::deque<book_t> *>(books))[event->book];
            if (event->kind == ORDERS_CANCEL) {
                orders_put(out, ORDERS_CANCELED, event, 0, 0, 0, book.remove(event->id));
            } else if (event->kind == ORDERS_TAKE) {
                take(book, *event, out);
            } else if (!book.resting(event->id)) {
                book.add(*event);
                orders_put(out, ORDERS_ACK, event, 0, event->px, event->qty, event->qty);
            }
        }
    }
};

template <typename book_t> constexpr orders_peer_t peer_of(const char *name)
{
    return {name, peer<book_t>::open, peer<book_t>::run, peer<book_t>::close};
}

} // namespace

extern "C" const orders_peer_t hwal_orders_peers[];
const orders_peer_t            hwal_orders_peers[] = {
    peer_of<list_book<std::map<int64_t, std::list<order_t>>>>("std::map, list, hash"),
    peer_of<list_book<boost::container::flat_map<int64_t, std::list<order_t>>>>("boost flat_map, list"),
    peer_of<intrusive_book>("boost intrusive"),
    {nullptr, nullptr, nullptr, nullptr},
};
