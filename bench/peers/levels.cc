/* Price levels in std::map, in Boost's flat_map and in Boost's intrusive set with nodes from a pool. The best level is
 * the last of each: a bid's key is its tick, an ask's the negative. */
#include "bench/peers/levels.h"

#include <boost/container/flat_map.hpp>
#include <boost/intrusive/set.hpp>

#include <map>
#include <vector>

namespace
{

template <typename map_t> struct map_side {
    map_t map;

    void clear()
    {
        map.clear();
    }
    void set(int64_t key, int64_t qty)
    {
        if (qty == 0) {
            map.erase(key);
        } else {
            map[key] = qty;
        }
    }
    int64_t best_key() const
    {
        return map.rbegin()->first;
    }
    int64_t best_qty() const
    {
        return map.rbegin()->second;
    }
};

struct node_t : boost::intrusive::set_base_hook<> {
    int64_t key = 0, qty = 0;

    friend bool operator<(const node_t &a, const node_t &b)
    {
        return a.key < b.key;
    }
};

struct by_key {
    bool operator()(int64_t a, const node_t &b) const
    {
        return a < b.key;
    }
    bool operator()(const node_t &a, int64_t b) const
    {
        return a.key < b;
    }
};

struct intrusive_side {
    boost::intrusive::set<node_t> set_;
    std::vector<node_t *>         free_;

    void clear()
    {
        set_.clear_and_dispose([this](node_t *node) { free_.push_back(node); });
    }
    void set(int64_t key, int64_t qty)
    {
        boost::intrusive::set<node_t>::insert_commit_data at;
        const auto                                        found = set_.insert_check(key, by_key{}, at);
        if (!found.second) {
            found.first->qty = qty;
            if (qty == 0) {
                set_.erase_and_dispose(found.first, [this](node_t *node) { free_.push_back(node); });
            }
        } else if (qty != 0) {
            node_t *node = free_.empty() ? new node_t : free_.back();
            if (!free_.empty()) {
                free_.pop_back();
            }
            node->key = key;
            node->qty = qty;
            set_.insert_commit(*node, at);
        }
    }
    int64_t best_key() const
    {
        return set_.rbegin()->key;
    }
    int64_t best_qty() const
    {
        return set_.rbegin()->qty;
    }
};

template <typename side_t> struct book {
    static side_t side[2];

    static uint64_t run(const levels_step_t *steps, uint32_t n, int64_t tick_px, uint64_t sum)
    {
        for (const levels_step_t *step = steps; step < steps + n; step++) {
            side[step->side].set(step->side == 0 ? step->tick : -static_cast<int64_t>(step->tick), step->qty);
            sum = levels_fold(sum, side[0].best_key() * tick_px, side[0].best_qty(), -side[1].best_key() * tick_px,
                              side[1].best_qty());
        }
        return sum;
    }
    static void load(const levels_step_t *steps, uint32_t n)
    {
        side[0].clear();
        side[1].clear();
        for (const levels_step_t *step = steps; step < steps + n; step++) {
            side[step->side].set(step->side == 0 ? step->tick : -static_cast<int64_t>(step->tick), step->qty);
        }
    }
};
template <typename side_t> side_t book<side_t>::side[2];

} // namespace

extern "C" const levels_peer_t hwal_levels_peers[];
const levels_peer_t            hwal_levels_peers[] = {
               {"boost flat_map", book<map_side<boost::container::flat_map<int64_t, int64_t>>>::load,
                book<map_side<boost::container::flat_map<int64_t, int64_t>>>::run},
               {"boost intrusive set", book<intrusive_side>::load, book<intrusive_side>::run},
               {"std::map", book<map_side<std::map<int64_t, int64_t>>>::load, book<map_side<std::map<int64_t, int64_t>>>::run},
               {nullptr, nullptr, nullptr},
};
