#include "tasks/extraction/layout.hpp"

#include "tasks/extraction/text.hpp"

#include <algorithm>
#include <cctype>

namespace celeriac {
namespace {

constexpr std::size_t most_words = 200'000;

float height(const Box& b) { return b.y1 - b.y0; }
float middle(const Box& b) { return (b.y0 + b.y1) / 2; }

void grow(Box& box, const Box& other) {
  box.x0 = std::min(box.x0, other.x0);
  box.y0 = std::min(box.y0, other.y0);
  box.x1 = std::max(box.x1, other.x1);
  box.y1 = std::max(box.y1, other.y1);
}

bool is_percentage(const std::string& text) {
  std::size_t digits = 0, marks = 0, percent = 0;
  for (char c : text) {
    if (c >= '0' && c <= '9')
      ++digits;
    else if (c == '.' || c == ',' || c == '(' || c == ')' || c == ':')
      ++marks;
    else if (c == '%')
      ++percent;
    else
      return false;
  }
  return percent == 1 && digits <= 5 && digits + marks + percent == text.size();
}

// "Rechnungsnummer:471102" is a label and its value; "10:30" and "http://" are not.
void push_split(std::vector<Word>& out, const Word& word) {
  const std::size_t colon = word.text.find(':');
  const bool splits = colon != std::string::npos && colon >= 2 && colon + 1 < word.text.size() &&
                      word.text[colon + 1] != '/' &&
                      !(word.text[colon - 1] >= '0' && word.text[colon - 1] <= '9');
  if (!splits) {
    out.push_back(word);
    return;
  }
  const float share = static_cast<float>(colon + 1) / static_cast<float>(word.text.size());
  const float cut = word.box.x0 + (word.box.x1 - word.box.x0) * share;
  Word left = word, right = word;
  left.text = word.text.substr(0, colon + 1);
  right.text = word.text.substr(colon + 1);
  left.box.x1 = right.box.x0 = cut;
  out.push_back(std::move(left));
  out.push_back(std::move(right));
}

Line make_line(std::vector<Word> words, int page) {
  std::ranges::sort(words, {}, [](const Word& w) { return w.box.x0; });
  Line line;
  line.page = page;
  line.box = words.front().box;
  for (const Word& word : words) {
    grow(line.box, word.box);
    const float size = std::max(4.0f, height(word.box));
    if (!line.tokens.empty()) {
      Token& last = line.tokens.back();
      const float gap = word.box.x0 - last.box.x1;
      // Kerning makes some writers put one word as two; no blank is this narrow.
      if (gap < 0.15f * size && gap > -0.5f * size && last.text.back() != ':' && word.text.size() > 0) {
        last.text += word.text;
        last.confidence = std::min(last.confidence, word.confidence);
        grow(last.box, word.box);
        continue;
      }
      line.tokens.push_back({word.text, {}, word.box, word.confidence, gap > 0.85f * size});
    } else {
      line.tokens.push_back({word.text, {}, word.box, word.confidence, true});
    }
  }
  for (std::size_t i = 0; i < line.tokens.size(); ++i) {
    Token& t = line.tokens[i];
    const bool percent_follows = i + 1 < line.tokens.size() && line.tokens[i + 1].text.starts_with('%');
    t.folded = is_percentage(t.text) || (percent_follows && is_percentage(t.text + "%")) ? "" : fold(t.text);
  }
  return line;
}

void add_page(const PageText& page, int number, std::size_t& budget, std::vector<Line>& out) {
  std::vector<Word> words;
  for (const Word& word : page.words) {
    if (budget == 0) break;
    --budget;
    Word clean = word;
    clean.text = squeeze(valid_utf8(word.text));
    if (!clean.text.empty()) push_split(words, clean);
  }
  std::ranges::stable_sort(words, {}, [](const Word& w) { return middle(w.box); });
  std::vector<std::vector<Word>> open;
  float centre = 0, size = 0;
  for (Word& word : words) {
    const float h = height(word.box);
    if (open.empty() || middle(word.box) - centre > 0.45f * std::max(2.0f, std::min(size, h))) {
      open.push_back({std::move(word)});
      centre = middle(open.back().front().box);
      size = h;
    } else {
      const auto n = static_cast<float>(open.back().size());
      centre = (centre * n + middle(word.box)) / (n + 1);
      size = std::max(size, h);
      open.back().push_back(std::move(word));
    }
  }
  for (auto& group : open) out.push_back(make_line(std::move(group), number));
}

}  // namespace

std::string Line::text(std::size_t from, std::size_t to) const {
  std::string out;
  for (std::size_t i = from; i < std::min(to, tokens.size()); ++i) {
    if (i > from) out += ' ';
    out += tokens[i].text;
  }
  return out;
}

std::size_t Line::cell_begin(std::size_t at) const {
  while (at > 0 && !tokens[at].starts_cell) --at;
  return at;
}

std::size_t Line::cell_end(std::size_t at) const {
  ++at;
  while (at < tokens.size() && !tokens[at].starts_cell) ++at;
  return at;
}

Box Line::span_box(std::size_t from, std::size_t to) const {
  Box out = tokens[from].box;
  for (std::size_t i = from; i < std::min(to, tokens.size()); ++i) grow(out, tokens[i].box);
  return out;
}

std::string Layout::text() const {
  std::string out;
  int page = 1;
  for (const Line& line : lines) {
    if (line.page != page) out += '\f';
    page = line.page;
    for (std::size_t i = 0; i < line.tokens.size(); ++i) {
      if (i > 0) out += line.tokens[i].starts_cell ? "  " : " ";
      out += line.tokens[i].text;
    }
    out += '\n';
  }
  return out;
}

Layout make_layout(std::span<const PageText> pages) {
  Layout layout;
  std::size_t budget = most_words;
  int number = 0;
  for (const PageText& page : pages) {
    layout.pages.push_back({0, 0, page.width, page.height});
    add_page(page, ++number, budget, layout.lines);
  }
  return layout;
}

}  // namespace celeriac
