#include "worker/revoked.hpp"

namespace celeriac {

void RevokedSet::add(std::string id, double now) {
  added_[id] = now;
  order_.emplace_back(now, std::move(id));
  forget_old(now);
}

bool RevokedSet::contains(const std::string& id, double now) const {
  if (added_.empty()) return false;
  const auto found = added_.find(id);
  return found != added_.end() && now - found->second < ttl_;
}

void RevokedSet::forget_old(double now) {
  // An id added twice leaves a stale entry behind; those go too, so order_ stays bounded.
  while (!order_.empty()) {
    const auto& [when, id] = order_.front();
    const auto found = added_.find(id);
    const bool stale = found == added_.end() || found->second != when;
    const bool surplus = added_.size() > max_ || order_.size() > 2 * max_;
    if (!stale && !surplus && now - when < ttl_) return;
    if (!stale) added_.erase(found);
    order_.pop_front();
  }
}

}  // namespace celeriac
