/* larder.hpp: larder.h for C++17 and later. Header-only; it allocates nothing and needs neither exceptions nor RTTI.
 *
 * Conventions
 * - Every call that can fail answers a result: the value, or the status that says why there is none.
 * - Keys and values are larder::bytes: text, or anything with data() and size() whose elements have one byte.
 * - cache, pool and arena are handles that can be moved and not copied. They own no memory: the region is the
 *   caller's, outlives them, and is not freed. Destroying a handle changes nothing in the region.
 * - A call on a handle that was moved from is status::invalid.
 * - What is not documented here is documented at the function of larder.h with the same name. */

#ifndef LARDER_HPP
#define LARDER_HPP

#include <larder.h>

#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <ratio>
#include <string_view>
#include <type_traits>
#include <utility>
#if __has_include(<span>)
#include <span>
#endif
#if __has_include(<memory_resource>) && !defined(LARDER_NO_PMR)
#include <memory_resource>
#define LARDER_PMR
#endif

namespace larder {

// ---- status and result ----

/// Why a call has no value. The numbers are those of larder.h. A newer library may answer others.
enum class [[nodiscard]] status : larder_status {
    ok = LARDER_OK,
    not_found = LARDER_NOT_FOUND,
    invalid = LARDER_INVALID,
    no_memory = LARDER_NO_MEMORY,
    too_large = LARDER_TOO_LARGE,
    buffer_too_small = LARDER_BUFFER_TOO_SMALL,
    exists = LARDER_EXISTS,
    type_mismatch = LARDER_TYPE_MISMATCH,
    busy = LARDER_BUSY,
    corrupt = LARDER_CORRUPT,
    stale = LARDER_STALE,
    version_mismatch = LARDER_VERSION_MISMATCH,
    misaligned = LARDER_MISALIGNED,
    again = LARDER_AGAIN,
    pinned = LARDER_PINNED
};

/// A short English text; never NULL, valid for ever.
inline const char *message(status status) noexcept { return larder_strerror(static_cast<larder_status>(status)); }

/// A value, or the status that says why there is none. Reading the value where there is none is undefined; it is
/// an assertion that fails in a build with assertions.
template <class T = void> class [[nodiscard]] result {
public:
    result(T value) noexcept(std::is_nothrow_move_constructible_v<T>) : value_(std::move(value)) {}
    /// `error` is not status::ok.
    result(status error) noexcept : error_(error) { assert(error != status::ok); }

    bool has_value() const noexcept { return value_.has_value(); }
    explicit operator bool() const noexcept { return has_value(); }
    /// status::ok where there is a value.
    status error() const noexcept { return error_; }

    T &operator*() & noexcept { return assert(has_value()), *value_; }
    const T &operator*() const & noexcept { return assert(has_value()), *value_; }
    T &&operator*() && noexcept { return assert(has_value()), std::move(*value_); }
    T *operator->() noexcept { return &**this; }
    const T *operator->() const noexcept { return &**this; }

    template <class U> T value_or(U &&other) const & { return value_.value_or(std::forward<U>(other)); }
    template <class U> T value_or(U &&other) && { return std::move(value_).value_or(std::forward<U>(other)); }

private:
    std::optional<T> value_;
    status error_ = status::ok;
};

/// Whether a call did what it was asked, or why not.
template <> class [[nodiscard]] result<void> {
public:
    result(status status = status::ok) noexcept : error_(status) {}

    bool has_value() const noexcept { return error_ == status::ok; }
    explicit operator bool() const noexcept { return has_value(); }
    status error() const noexcept { return error_; }

private:
    status error_;
};

// ---- bytes ----

namespace detail {

template <class T, class... Others> inline constexpr bool is_one_of = (std::is_same_v<T, Others> || ...);
#ifdef __cpp_char8_t
template <class T> inline constexpr bool is_byte = is_one_of<T, char, signed char, unsigned char, std::byte, char8_t>;
#else
template <class T> inline constexpr bool is_byte = is_one_of<T, char, signed char, unsigned char, std::byte>;
#endif

template <class C> using element = std::remove_pointer_t<decltype(std::data(std::declval<C &>()))>;

template <class C, class = void> inline constexpr bool is_readable = false;
template <class C>
inline constexpr bool is_readable<C, std::void_t<element<C>, decltype(std::size(std::declval<C &>()))>> =
    is_byte<std::remove_cv_t<element<C>>>;

template <class C> inline constexpr bool is_text_array =
    std::is_array_v<C> && std::is_same_v<std::remove_cv_t<std::remove_extent_t<C>>, char>;

template <class C, class = void> inline constexpr bool is_writable = false;
template <class C>
inline constexpr bool is_writable<C, std::enable_if_t<is_readable<C>>> = !std::is_const_v<element<C>>;

inline result<> done(larder_status status) noexcept { return static_cast<larder::status>(status); }

/// By reference, so that a call in the same expression may write `value`.
template <class T> result<std::remove_reference_t<T>> answer(larder_status status, T &&value) noexcept
{
    if (status != LARDER_OK)
        return static_cast<larder::status>(status);
    return std::remove_reference_t<T>(std::forward<T>(value));
}

} // namespace detail

/// Bytes to read, which belong to the caller and outlive this. As std::span<const std::byte>, which C++20 converts
/// to and from.
class bytes {
public:
    constexpr bytes() noexcept = default;
    bytes(const void *data, std::size_t size) noexcept : data_(static_cast<const std::byte *>(data)), size_(size) {}
    /// Text up to its NUL, which is left out. An array of char is such text, too.
    bytes(const char *text) noexcept : bytes(text, text == nullptr ? 0 : std::strlen(text)) {}
    bytes(std::nullptr_t) = delete;
    /// std::string, std::string_view, std::vector<std::byte>, std::span, ..
    template <class C, std::enable_if_t<detail::is_readable<const C> && !detail::is_text_array<C>, int> = 0>
    bytes(const C &container) noexcept : bytes(std::data(container), std::size(container)) {}

    const std::byte *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    const std::byte *begin() const noexcept { return data_; }
    const std::byte *end() const noexcept { return data_ + size_; }
    std::string_view text() const noexcept { return {reinterpret_cast<const char *>(data_), size_}; }

    friend bool operator==(bytes a, bytes b) noexcept { return a.text() == b.text(); }
    friend bool operator!=(bytes a, bytes b) noexcept { return !(a == b); }

private:
    const std::byte *data_ = nullptr;
    std::size_t size_ = 0;
};

/// Bytes to write, which belong to the caller and outlive this. As std::span<std::byte>, which C++20 converts to
/// and from.
class buffer {
public:
    constexpr buffer() noexcept = default;
    buffer(void *data, std::size_t size) noexcept : data_(static_cast<std::byte *>(data)), size_(size) {}
    /// An array, or a container that is not const. It is written up to its size, and not resized.
    template <class C, std::enable_if_t<detail::is_writable<std::remove_reference_t<C>>, int> = 0>
    buffer(C &&container) noexcept : buffer(std::data(container), std::size(container)) {}

    std::byte *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    std::byte *begin() const noexcept { return data_; }
    std::byte *end() const noexcept { return data_ + size_; }

private:
    std::byte *data_ = nullptr;
    std::size_t size_ = 0;
};

/// The bytes of an object, padding included, to be a key or a value.
template <class T> bytes bytes_of(const T &object) noexcept
{
    static_assert(std::is_trivially_copyable_v<T>, "its bytes are not its value");
    return {std::addressof(object), sizeof object};
}

/// The bytes of an object, to read a value of the same size into.
template <class T> buffer buffer_of(T &object) noexcept
{
    static_assert(std::is_trivially_copyable_v<T>, "its bytes are not its value");
    return {std::addressof(object), sizeof object};
}

/// Memory for a cache, pool or arena, aligned as they need it.
template <std::size_t Size> class region {
public:
    std::byte *data() noexcept { return bytes_; }
    static constexpr std::size_t size() noexcept { return Size; }

private:
    alignas(LARDER_ALIGN) std::byte bytes_[Size];
};

// ---- time ----

/// A time to live: the item never expires.
inline constexpr std::chrono::milliseconds never = std::chrono::milliseconds::max();

/// How long an item lives: the cache's default, `never`, `keep_ttl`, or a duration. A duration of 0 or less, as a
/// deadline leaves it that has passed, becomes 1 ms. One above 2^40 ms is shortened to that.
class time_to_live {
public:
    /// The cache's default_ttl_ms.
    constexpr time_to_live() noexcept = default;
    /// Any duration of whole milliseconds; one that milliseconds cannot hold is `never`.
    template <class Rep, class Period, class = std::enable_if_t<std::is_convertible_v<
        std::chrono::duration<Rep, Period>, std::chrono::milliseconds>>>
    constexpr time_to_live(std::chrono::duration<Rep, Period> time) noexcept
        : ms_(of(static_cast<std::int64_t>(time.count()), std::ratio_divide<Period, std::milli>::num)) {}

    /// As larder_cache_set takes it.
    constexpr std::uint64_t ms() const noexcept { return ms_; }

    /// LARDER_TTL_KEEP.
    static constexpr time_to_live keep() noexcept
    {
        time_to_live ttl;
        ttl.ms_ = LARDER_TTL_KEEP;
        return ttl;
    }

private:
    static constexpr std::uint64_t of(std::int64_t count, std::int64_t ms_of_one) noexcept
    {
        if (count >= INT64_MAX / ms_of_one)
            return LARDER_TTL_NEVER;
        return count > 0 ? static_cast<std::uint64_t>(count * ms_of_one) : 1;
    }

    std::uint64_t ms_ = LARDER_TTL_DEFAULT;
};

/// A time to live: the cache's default_ttl_ms.
inline constexpr time_to_live default_ttl{};

/// A time to live: what the item has left; the cache's default where the key has no item.
inline constexpr time_to_live keep_ttl = time_to_live::keep();

namespace detail {

/// LARDER_TTL_NEVER is `never`.
inline std::chrono::milliseconds milliseconds(std::uint64_t ms) noexcept
{
    if (ms >= static_cast<std::uint64_t>(never.count()))
        return never;
    return std::chrono::milliseconds(static_cast<std::chrono::milliseconds::rep>(ms));
}

/// A time of the caller's; less than 0 is 0.
inline std::uint64_t count(std::chrono::milliseconds time) noexcept
{
    return time.count() > 0 ? static_cast<std::uint64_t>(time.count()) : 0;
}

/// The deleter of a handle, whose memory is the caller's.
struct keep {
    void operator()(const void *) const noexcept {}
};

template <class T> using handle = std::unique_ptr<T, keep>;

} // namespace detail

// ---- cache ----

/// How a cache is set up: the fields of larder_cache_config, with their defaults. The hooks must not throw.
struct cache_config : larder_cache_config {
    cache_config() noexcept : larder_cache_config LARDER_CACHE_CONFIG_INIT {}
    cache_config(const larder_cache_config &raw) noexcept : larder_cache_config(raw) {}
};

/// A value that is read where it lies, and unpins itself. It may outlive the larder::cache that gave it, but not the
/// region. Whether the key is deleted or set anew meanwhile, its bytes stay.
class view {
public:
    view() noexcept = default;
    view(larder_cache *cache, const larder_view &raw) noexcept : held_(cache, unpin{raw}) {}

    /// Bytes of the whole value; 0 where nothing is held.
    std::size_t size() const noexcept { return held_ ? raw().len : 0; }
    /// Pieces that the value lies in.
    std::uint32_t span_count() const noexcept { return held_ ? raw().spans : 0; }
    /// The first piece: the whole value where span_count() is 1. There is no data(), since it would not go with
    /// size() where there are more.
    bytes first() const noexcept { return held_ ? bytes(raw().data, raw().span_len) : bytes(); }

    /// Piece number `index`; status::not_found past the last one. O(index).
    result<bytes> span(std::uint32_t index) const noexcept
    {
        const void *data = nullptr;
        std::size_t len = 0;
        const larder_status status = larder_cache_view_span(held_.get(), &raw(), index, &data, &len);
        return detail::answer(status, bytes(data, len));
    }

    /// Writes all pieces into an array of larder_span, and answers how many there are. Their bytes must not be
    /// written. status::buffer_too_small where there are more than fit.
    template <class Spans> result<std::size_t> spans(Spans &&out) const noexcept
    {
        std::size_t count = 0;
        const larder_status status =
            larder_cache_view_spans(held_.get(), &raw(), std::data(out), std::size(out), &count);
        return detail::answer(status, count);
    }

    /// Unpins before the destructor does. A second call is status::invalid.
    result<> release() noexcept { return detail::done(larder_cache_unpin(held_.release(), &held_.get_deleter().raw)); }

    const larder_view &raw() const noexcept { return held_.get_deleter().raw; }

private:
    struct unpin {
        larder_view raw; // zero where nothing is held
        void operator()(larder_cache *cache) noexcept { larder_cache_unpin(cache, &raw); }
    };
    std::unique_ptr<larder_cache, unpin> held_;
};

/// Room for a value that is written where it will lie. It gives itself up unless it is committed. It may outlive the
/// larder::cache that gave it, but not the region.
class reservation {
public:
    reservation() noexcept = default;
    reservation(larder_cache *cache, const larder_reservation &raw) noexcept : held_(cache, give_up{raw}) {}

    /// Bytes of the whole value; 0 where nothing is held.
    std::size_t size() const noexcept { return held_ ? raw().len : 0; }
    /// Pieces that the value lies in.
    std::uint32_t span_count() const noexcept { return held_ ? raw().spans : 0; }
    /// Room for the first piece: for the whole value where span_count() is 1.
    buffer first() const noexcept { return held_ ? buffer(raw().data, raw().span_len) : buffer(); }

    /// Room for piece number `index`; status::not_found past the last one. O(index).
    result<buffer> span(std::uint32_t index) const noexcept
    {
        void *data = nullptr;
        std::size_t len = 0;
        const larder_status status = larder_cache_reservation_span(held_.get(), &raw(), index, &data, &len);
        return detail::answer(status, buffer(data, len));
    }

    /// As view::spans; the bytes may be written.
    template <class Spans> result<std::size_t> spans(Spans &&out) const noexcept
    {
        std::size_t count = 0;
        const larder_status status =
            larder_cache_reservation_spans(held_.get(), &raw(), std::data(out), std::size(out), &count);
        return detail::answer(status, count);
    }

    /// Makes the value the key's. status::stale where that was set, deleted, added to or cleared since: the room is
    /// given up then. On status::no_memory it is still held, and commit may be tried again.
    result<> commit() noexcept
    {
        const larder_status status = larder_cache_commit(held_.get(), &held_.get_deleter().raw);
        if (status == LARDER_OK)
            (void)held_.release();
        return detail::done(status);
    }

    /// Gives the room up before the destructor does. A second call is status::invalid.
    result<> abort() noexcept { return detail::done(larder_cache_abort(held_.release(), &held_.get_deleter().raw)); }

    const larder_reservation &raw() const noexcept { return held_.get_deleter().raw; }

private:
    struct give_up {
        larder_reservation raw; // zero where nothing is held
        void operator()(larder_cache *cache) noexcept { larder_cache_abort(cache, &raw); }
    };
    std::unique_ptr<larder_cache, give_up> held_;
};

/// An item that a scan visits. It and its bytes are valid until the callable returns.
class item {
public:
    explicit item(const larder_item_info &raw) noexcept : raw_(&raw) {}

    bytes key() const noexcept { return {raw_->key, raw_->key_len}; }
    /// The value's first bytes: all of them, unless it lies in several pages.
    bytes first() const noexcept { return {raw_->value, raw_->span_len}; }
    /// Bytes of the value.
    std::size_t size() const noexcept { return raw_->value_len; }
    /// What is left of its time; `never` where it does not expire.
    std::chrono::milliseconds ttl() const noexcept { return detail::milliseconds(raw_->ttl_ms); }
    const larder_item_info &raw() const noexcept { return *raw_; }

private:
    const larder_item_info *raw_;
};

/// One get of many. What `key` and `into` refer to is used by cache::get_many.
inline larder_get_request get_request(bytes key, buffer into) noexcept
{
    return {key.data(), key.size(), into.data(), into.size(), 0, LARDER_OK, 0};
}

/// One set of many. What `key` and `value` refer to is used by cache::set_many.
inline larder_set_request set_request(bytes key, bytes value, time_to_live ttl = default_ttl) noexcept
{
    return {key.data(), key.size(), value.data(), value.size(), ttl.ms(), LARDER_OK, 0};
}

/// A value for cache::put, which uses what `key` and `value` refer to. `mode` is LARDER_PUT_..; `version` goes with
/// LARDER_PUT_IF_VERSION. The fields `tag` and `flags` are 0.
inline larder_put put_request(bytes key, bytes value, std::uint32_t mode = LARDER_PUT_SET, std::uint64_t version = 0,
                              time_to_live ttl = default_ttl) noexcept
{
    return {sizeof(larder_put), mode, key.data(), key.size(), value.data(), value.size(), ttl.ms(), version, 0, 0};
}

/// The right to store a key's value by cache::fill. A value, which may be copied. There is no call that gives it back:
/// one that is not filled runs out, and until then others get status::busy. cache::erase of the key ends it at once.
struct lease : larder_lease {
    lease() noexcept : larder_lease{} {}
    lease(const larder_lease &raw) noexcept : larder_lease(raw) {}
};

/// What cache::get would have answered.
inline result<bytes> result_of(const larder_get_request &request) noexcept
{
    return detail::answer(request.status, bytes(request.buffer, request.value_len));
}

/// What cache::set would have answered.
inline result<> result_of(const larder_set_request &request) noexcept { return detail::done(request.status); }

/// A cache in a region of the caller's. Its calls may come from any thread; moving it may not be at the same time.
class cache {
public:
    cache() noexcept = default;
    /// A handle that larder_cache_init or larder_cache_attach gave.
    explicit cache(larder_cache *handle) noexcept : handle_(handle) {}
    larder_cache *handle() const noexcept { return handle_.get(); }

    /// Makes a cache in a region that starts at a multiple of LARDER_ALIGN. status::misaligned, status::no_memory for
    /// a region that is too small, status::invalid for a configuration out of range.
    static result<cache> create(buffer region, const cache_config &config = {}) noexcept
    {
        larder_cache *handle = nullptr;
        const larder_status status = larder_cache_init(region.data(), region.size(), &config, &handle);
        return detail::answer(status, cache(handle));
    }
    static result<cache> create(void *region, std::size_t size,
                                const cache_config &config = {}) noexcept
    {
        return create(buffer(region, size), config);
    }

    /// Takes over the cache that an earlier owner left in the region. status::not_found where there is none,
    /// status::version_mismatch where it was made otherwise; create() makes a new one then.
    static result<cache> attach(buffer region, const cache_config &config = {},
                                larder_attach_report *report = nullptr) noexcept
    {
        larder_cache *handle = nullptr;
        const larder_status status = larder_cache_attach(region.data(), region.size(), &config, &handle, report);
        return detail::answer(status, cache(handle));
    }

#ifdef LARDER_HOSTED
    /// The bytes of the handle that share and join take: memory of the process's own, aligned to 8 bytes.
    static std::size_t handle_size() noexcept { return larder_cache_handle_size(); }

    /// Makes a cache in memory that processes share. status::exists where there is one: join it; status::busy while
    /// another process is making it.
    static result<cache> share(buffer region, buffer handle, const cache_config &config = {}) noexcept
    {
        larder_cache *made = nullptr;
        const larder_status status =
            larder_cache_share(region.data(), region.size(), &config, handle.data(), handle.size(), &made);
        return detail::answer(status, cache(made));
    }

    /// Joins a cache that another process made by share. status::not_found where there is none, status::busy while it
    /// is made, status::version_mismatch where it was made otherwise.
    static result<cache> join(buffer region, buffer handle, const cache_config &config = {}) noexcept
    {
        larder_cache *joined = nullptr;
        const larder_status status =
            larder_cache_join(region.data(), region.size(), &config, handle.data(), handle.size(), &joined);
        return detail::answer(status, cache(joined));
    }

    /// Gives back what processes hold that are dead; status::invalid where processes do not share the cache.
    result<> reap() noexcept { return detail::done(larder_cache_reap(handle(), nullptr, nullptr)); }
#endif

    /// The size of a region in which `items` items of these lengths stay.
    static result<std::size_t> required_size(std::uint64_t items, std::size_t key_len, std::size_t value_len,
                                             const cache_config &config = {}) noexcept
    {
        std::size_t size = 0;
        const larder_status status = larder_cache_required_size(&config, items, key_len, value_len, &size);
        return detail::answer(status, size);
    }

    // ---- values ----

    /// Stores a copy. status::too_large, status::no_memory where what is pinned leaves no room; the key has the value
    /// that it had then.
    result<> set(bytes key, bytes value, time_to_live ttl = default_ttl) noexcept
    {
        return detail::done(
            larder_cache_set(handle(), key.data(), key.size(), value.data(), value.size(), ttl.ms()));
    }

    /// As set, where there is no item with this key; else status::exists.
    result<> add(bytes key, bytes value, time_to_live ttl = default_ttl) noexcept
    {
        return detail::done(
            larder_cache_add(handle(), key.data(), key.size(), value.data(), value.size(), ttl.ms()));
    }

    /// As set, where there is an item with this key; else status::not_found.
    result<> replace(bytes key, bytes value, time_to_live ttl = default_ttl) noexcept
    {
        return detail::done(
            larder_cache_replace(handle(), key.data(), key.size(), value.data(), value.size(), ttl.ms()));
    }

    /// Copies a value, and answers the part of `into` that it fills. status::buffer_too_small where `into` is shorter
    /// than the value; nothing is written then.
    result<bytes> get(bytes key, buffer into) noexcept
    {
        std::size_t len = 0;
        const larder_status status =
            larder_cache_get(handle(), key.data(), key.size(), into.data(), into.size(), &len);
        return detail::answer(status, bytes(into.data(), len));
    }

    /// Copies a value into a container with resize(), such as std::string or std::vector<std::byte>, which allocates
    /// by its own allocator and throws what that throws. On an error the container's contents are of no meaning.
    template <class Container> result<> get_into(bytes key, Container &out)
    {
        static_assert(detail::is_writable<Container>, "its elements are no bytes");
        std::size_t len = size(key).value_or(std::size_t{0});
        larder_status status;
        do {
            out.resize(len);
            status = larder_cache_get(handle(), key.data(), key.size(), std::data(out), std::size(out), &len);
        } while (status == LARDER_BUFFER_TOO_SMALL); // another thread made it longer
        if (status == LARDER_OK)
            out.resize(len);
        return detail::done(status);
    }

    /// As get_into, with a container of its own: get_as<std::string>(key).
    template <class Container> result<Container> get_as(bytes key)
    {
        Container out;
        if (result<> got = get_into(key, out); !got)
            return got.error();
        return result<Container>(std::move(out));
    }

    /// Copies as many bytes from `offset` on as there are and `into` has room for. status::invalid for an offset
    /// beyond the value's end.
    result<bytes> get_range(bytes key, std::size_t offset, buffer into) noexcept
    {
        std::size_t read = 0;
        const larder_status status =
            larder_cache_get_range(handle(), key.data(), key.size(), offset, into.data(), into.size(), &read);
        return detail::answer(status, bytes(into.data(), read));
    }

    /// As get, and writes what is known of the item. `flags` is 0, or LARDER_PEEK, LARDER_STALE_OK. `out` is written on
    /// status::buffer_too_small, too: with an empty buffer that asks for nothing else.
    result<bytes> get_item(bytes key, buffer into, larder_item &out, std::uint32_t flags = 0) noexcept
    {
        out.struct_size = sizeof out;
        const larder_status status =
            larder_cache_get_item(handle(), key.data(), key.size(), into.data(), into.size(), flags, &out);
        const std::size_t len = status == LARDER_OK ? static_cast<std::size_t>(out.value_len) : 0;
        return detail::answer(status, bytes(into.data(), len));
    }

    /// Stores a copy where put_request's mode allows it, and answers its version: 0 without LARDER_ITEM_VERSIONS.
    /// status::stale where the item has another version by now, status::exists and status::not_found as for add and
    /// replace. The key has the value that it had then.
    result<std::uint64_t> put(const larder_put &put) noexcept
    {
        std::uint64_t version = 0;
        return detail::answer(larder_cache_put(handle(), &put, &version), version);
    }

    /// Adds bytes behind a value, whose time to live stays. status::type_mismatch where it is a number or text;
    /// status::too_large and status::no_memory as for set, and the value is as before then.
    result<> append(bytes key, bytes more) noexcept
    {
        return detail::done(larder_cache_append(handle(), key.data(), key.size(), more.data(), more.size()));
    }
    /// The same before the value.
    result<> prepend(bytes key, bytes more) noexcept
    {
        return detail::done(larder_cache_prepend(handle(), key.data(), key.size(), more.data(), more.size()));
    }

    /// The right to fetch the value of a key that has none, for so long. status::busy where another has it,
    /// status::exists where the value is there. It takes room as a small item does. status::invalid for `never`,
    /// `default_ttl` and `keep_ttl`.
    result<larder::lease> lease(bytes key, time_to_live time) noexcept
    {
        larder::lease lease;
        const larder_status status = larder_cache_lease(handle(), key.data(), key.size(), time.ms(), &lease);
        return detail::answer(status, lease);
    }

    /// Stores the value that a lease was given for. status::stale where the key was erased, set or cleared since, or
    /// the lease ran out; nothing is stored then.
    result<> fill(const larder_lease &lease, bytes value, time_to_live ttl = default_ttl) noexcept
    {
        return detail::done(larder_cache_fill(handle(), &lease, value.data(), value.size(), ttl.ms()));
    }

    /// Takes an item out; status::not_found where there is none.
    result<> erase(bytes key) noexcept { return detail::done(larder_cache_delete(handle(), key.data(), key.size())); }

    /// Has a value where there is an item with this key; else status::not_found. Not counted as a read.
    result<> contains(bytes key) noexcept
    {
        return detail::done(larder_cache_contains(handle(), key.data(), key.size()));
    }

    /// As get, set and erase, without waiting: status::busy where the lock is taken. For interrupt handlers.
    result<bytes> try_get(bytes key, buffer into) noexcept
    {
        std::size_t len = 0;
        const larder_status status =
            larder_cache_try_get(handle(), key.data(), key.size(), into.data(), into.size(), &len);
        return detail::answer(status, bytes(into.data(), len));
    }
    result<> try_set(bytes key, bytes value, time_to_live ttl = default_ttl) noexcept
    {
        return detail::done(
            larder_cache_try_set(handle(), key.data(), key.size(), value.data(), value.size(), ttl.ms()));
    }
    result<> try_erase(bytes key) noexcept
    {
        return detail::done(larder_cache_try_delete(handle(), key.data(), key.size()));
    }

    /// Answers an array or container of larder_get_request, each with its own status: result_of(request).
    /// status::busy where some were not answered.
    template <class Requests> result<> get_many(Requests &&requests) noexcept
    {
        return detail::done(larder_cache_get_many(handle(), std::data(requests), std::size(requests)));
    }
    /// The same for larder_set_request.
    template <class Requests> result<> set_many(Requests &&requests) noexcept
    {
        return detail::done(larder_cache_set_many(handle(), std::data(requests), std::size(requests)));
    }

    // ---- what is known of an item ----

    /// Gives an item another time to live, counted from now.
    result<> touch(bytes key, time_to_live ttl) noexcept
    {
        return detail::done(larder_cache_touch(handle(), key.data(), key.size(), ttl.ms()));
    }

    /// What an item has left; `never` where it does not expire.
    result<std::chrono::milliseconds> ttl(bytes key) noexcept
    {
        std::uint64_t ms = 0;
        const larder_status status = larder_cache_ttl(handle(), key.data(), key.size(), &ms);
        return detail::answer(status, detail::milliseconds(ms));
    }

    /// Lengths, memory, time and type; the pointers are NULL. Not counted as a read.
    result<larder_item_info> info(bytes key) noexcept
    {
        larder_item_info info = LARDER_ITEM_INFO_INIT;
        return detail::answer(larder_cache_item_info(handle(), key.data(), key.size(), &info), info);
    }

    /// Changes the bits of an item's tag that `mask` names, and answers the old tag. status::invalid without
    /// LARDER_ITEM_TAGS. Not counted as a read.
    result<std::uint32_t> set_tag(bytes key, std::uint32_t mask, std::uint32_t bits) noexcept
    {
        std::uint32_t old = 0;
        const larder_status status = larder_cache_set_tag(handle(), key.data(), key.size(), mask, bits, &old);
        return detail::answer(status, old);
    }

    /// Bytes of a value. Not counted as a read.
    result<std::size_t> size(bytes key) noexcept
    {
        const result<larder_item_info> known = info(key);
        return known ? result<std::size_t>(known->value_len) : known.error();
    }

    // ---- typed values ----

    /// Stores a number: as int64_t, uint64_t or double, whichever holds each T.
    template <class T> result<> set_number(bytes key, T value, time_to_live ttl = default_ttl) noexcept
    {
        static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool> && sizeof(T) <= 8, "not a number");
        if constexpr (std::is_floating_point_v<T>)
            return detail::done(larder_cache_set_f64(handle(), key.data(), key.size(), value, ttl.ms()));
        else if constexpr (std::is_signed_v<T>)
            return detail::done(larder_cache_set_i64(handle(), key.data(), key.size(), value, ttl.ms()));
        else
            return detail::done(larder_cache_set_u64(handle(), key.data(), key.size(), value, ttl.ms()));
    }

    /// Reads a number; T is std::int64_t, std::uint64_t or double. status::type_mismatch where it is another type's.
    template <class T> result<T> get_number(bytes key) noexcept
    {
        static_assert(detail::is_one_of<T, std::int64_t, std::uint64_t, double>, "not a type that is stored");
        T value{};
        if constexpr (std::is_same_v<T, double>)
            return detail::answer(larder_cache_get_f64(handle(), key.data(), key.size(), &value), value);
        else if constexpr (std::is_signed_v<T>)
            return detail::answer(larder_cache_get_i64(handle(), key.data(), key.size(), &value), value);
        else
            return detail::answer(larder_cache_get_u64(handle(), key.data(), key.size(), &value), value);
    }

    /// Adds to an integer and answers the sum. status::invalid where the sum leaves the range; nothing is changed then.
    result<std::int64_t> increment(bytes key, std::int64_t by = 1) noexcept
    {
        std::int64_t sum = 0;
        const larder_status status = larder_cache_increment(handle(), key.data(), key.size(), by, &sum);
        return detail::answer(status, sum);
    }

    /// Adds to a number that was set as std::uint64_t, and answers the sum. `mode` is LARDER_WRAP or LARDER_SATURATE.
    result<std::uint64_t> add_u64(bytes key, std::int64_t delta, std::uint32_t mode) noexcept
    {
        std::uint64_t sum = 0;
        const larder_status status = larder_cache_add_u64(handle(), key.data(), key.size(), delta, mode, &sum);
        return detail::answer(status, sum);
    }

    /// Stores text of the type LARDER_TYPE_STR, up to its NUL.
    result<> set_text(bytes key, const char *text, time_to_live ttl = default_ttl) noexcept
    {
        return detail::done(larder_cache_set_str(handle(), key.data(), key.size(), text, ttl.ms()));
    }

    /// Reads such text into `into`, with a NUL behind it.
    result<std::string_view> get_text(bytes key, buffer into) noexcept
    {
        std::size_t len = 0;
        char *text = reinterpret_cast<char *>(into.data());
        const larder_status status =
            larder_cache_get_str(handle(), key.data(), key.size(), text, into.size(), &len);
        return detail::answer(status, bytes(text, len).text());
    }

    /// What a value is: LARDER_TYPE_.. Not counted as a read.
    result<std::int32_t> type(bytes key) noexcept
    {
        std::int32_t type = 0;
        return detail::answer(larder_cache_type(handle(), key.data(), key.size(), &type), type);
    }

    // ---- without copying ----

    /// Holds a value where it lies. status::no_memory where as many are held as pins_max allows.
    result<view> pin(bytes key) noexcept
    {
        larder_view raw{};
        const larder_status status = larder_cache_pin(handle(), key.data(), key.size(), &raw);
        if (status != LARDER_OK)
            return static_cast<larder::status>(status);
        return view(handle(), raw);
    }

    /// Takes room for a value of `size` bytes, to be written in place; the time to live begins with the commit.
    result<reservation> reserve(bytes key, std::size_t size, time_to_live ttl = default_ttl) noexcept
    {
        larder_reservation raw{};
        const larder_status status = larder_cache_reserve(handle(), key.data(), key.size(), size, ttl.ms(), &raw);
        if (status != LARDER_OK)
            return static_cast<larder::status>(status);
        return reservation(handle(), raw);
    }

    // ---- the whole cache ----

    /// Calls `visit(const larder::item &)` with each item, under the lock of the item's shard. Where it answers a
    /// bool, false stops the scan: status::again, and the same cursor goes on behind that item. A call of this cache
    /// from inside is status::busy. `visit` must not throw: an exception ends the program by std::terminate.
    template <class Visit> result<> scan(Visit visit, larder_cursor &cursor) noexcept
    {
        const larder_scan_fn call = [](void *ctx, const larder_item_info *info) noexcept -> std::int32_t {
            Visit &callable = *static_cast<Visit *>(ctx);
            if constexpr (std::is_void_v<std::invoke_result_t<Visit &, const item &>>)
                return callable(item(*info)), 0;
            else
                return callable(item(*info)) ? 0 : 1;
        };
        return detail::done(larder_cache_scan(handle(), &cursor, call, std::addressof(visit)));
    }
    template <class Visit> result<> scan(Visit visit) noexcept
    {
        larder_cursor cursor{};
        return scan(std::move(visit), cursor);
    }

    /// Takes out each item of which `matches(const larder::item &)` is true, among the next `step_max` from the cursor
    /// on (0 = all), and writes how many went. status::again where there are more; `deleted` is written then, too.
    /// `matches` runs under the lock of the item's shard, as for scan, and must not throw: that ends the program by
    /// std::terminate.
    template <class Match>
    result<> erase_if(Match matches, larder_cursor &cursor, std::uint32_t step_max, std::uint64_t &deleted) noexcept
    {
        const larder_match_fn call = [](void *ctx, const larder_item_info *info) noexcept -> std::int32_t {
            return (*static_cast<Match *>(ctx))(item(*info)) ? 1 : 0;
        };
        return detail::done(
            larder_cache_delete_if(handle(), &cursor, step_max, call, std::addressof(matches), &deleted));
    }
    /// Of all items; answers how many went.
    template <class Match> result<std::uint64_t> erase_if(Match matches) noexcept
    {
        larder_cursor cursor{};
        std::uint64_t deleted = 0;
        const result<> done = erase_if(std::move(matches), cursor, 0, deleted);
        return done ? result<std::uint64_t>(deleted) : done.error();
    }

    /// Takes every item out. What a view holds can be read until it is given back, and a reservation stays.
    result<> clear() noexcept { return detail::done(larder_cache_clear(handle())); }

    std::size_t memory_limit() const noexcept { return larder_cache_memory_limit(handle()); }
    result<> set_memory_limit(std::size_t limit) noexcept
    {
        return detail::done(larder_cache_set_memory_limit(handle(), limit));
    }
    /// Every byte taken, as the limit counts them.
    std::size_t memory_usage() const noexcept { return larder_cache_memory_usage(handle()); }
    std::uint64_t item_count() const noexcept { return larder_cache_item_count(handle()); }

    result<larder_cache_stats_t> stats() const noexcept
    {
        larder_cache_stats_t stats = LARDER_CACHE_STATS_INIT;
        return detail::answer(larder_cache_stats(handle(), &stats), stats);
    }

    /// Prints all statistics into a buffer, as LARDER_FORMAT_TEXT, _JSON or _PROMETHEUS. LARDER_STATS_PRINT_MAX bytes
    /// are always enough; status::buffer_too_small where they are too few.
    result<std::string_view> print_stats(std::uint32_t format, buffer into) const noexcept
    {
        std::size_t len = 0;
        const auto text = reinterpret_cast<char *>(into.data());
        const larder_status status = larder_cache_stats_print(handle(), format, text, into.size(), &len);
        return detail::answer(status, bytes(text, len).text());
    }

    /// The longest key, value and time to live, and the number of shards.
    result<larder_cache_limits_t> limits() const noexcept
    {
        larder_cache_limits_t limits = LARDER_CACHE_LIMITS_INIT;
        return detail::answer(larder_cache_limits(handle(), &limits), limits);
    }

    /// What the hit ratio would be under other limits; status::no_memory where the cache is too small for advice,
    /// status::again while it has seen too little.
    result<larder_advice> advise() const noexcept
    {
        larder_advice advice = LARDER_ADVICE_INIT;
        return detail::answer(larder_cache_advise(handle(), &advice), advice);
    }

    /// Takes out what has expired and gives dead bytes back, in at most `step_max` steps; 0 = to the end. Whether
    /// there is more to do is in the report's `done`; status::again is not answered.
    result<larder_optimize_report> optimize(std::uint32_t step_max = 0) noexcept
    {
        larder_optimize_report report = LARDER_OPTIMIZE_REPORT_INIT;
        const larder_status status = larder_cache_optimize(handle(), step_max, &report);
        return detail::answer(status == LARDER_AGAIN ? LARDER_OK : status, report);
    }

    /// What one owner of pages has: LARDER_OWNER_..; status::not_found past the last one.
    result<larder_class_stats> class_stats(std::uint32_t index) const noexcept
    {
        larder_class_stats stats = LARDER_CLASS_STATS_INIT;
        return detail::answer(larder_cache_class_stats(handle(), index, &stats), stats);
    }

    /// One page of the region; status::not_found past the last one.
    result<larder_page_info> page_info(std::uint32_t index) const noexcept
    {
        larder_page_info info = LARDER_PAGE_INFO_INIT;
        return detail::answer(larder_cache_page_info(handle(), index, &info), info);
    }

    /// Sets the time, where the configuration has no now_ms.
    result<> set_time(std::chrono::milliseconds now) noexcept
    {
        return detail::done(larder_cache_set_time(handle(), detail::count(now)));
    }

    /// Walks every invariant; status::corrupt where one does not hold. O(region).
    result<> check() const noexcept { return detail::done(larder_cache_check(handle())); }

private:
    detail::handle<larder_cache> handle_;
};

// ---- monitor ----

/// How a monitor watches: the fields of larder_monitor_config, with their defaults. on_report must not throw.
struct monitor_config : larder_monitor_config {
    monitor_config() noexcept : larder_monitor_config LARDER_MONITOR_CONFIG_INIT {}
    monitor_config(const larder_monitor_config &raw) noexcept : larder_monitor_config(raw) {}
};

/// A monitor of a cache. It stays where it is: it can be neither copied nor moved. The cache's region outlives it.
/// Its destructor stops the thread, and so must not run inside on_report.
class monitor {
public:
    monitor() noexcept = default;
    monitor(const monitor &) = delete;
    monitor &operator=(const monitor &) = delete;
    ~monitor() { (void)halt(); }

    /// It does nothing until it is polled or started. A thread of an earlier init is stopped first. Every other call
    /// before this one is status::invalid.
    result<> init(cache &cache, const monitor_config &config = {}) noexcept
    {
        if (result<> halted = halt(); !halted)
            return halted;
        const larder_status status = larder_monitor_init(&raw_, cache.handle(), &config);
        is_ready_ = is_ready_ || status == LARDER_OK;
        return detail::done(status);
    }

    /// The caller's tick: checks where the interval has passed.
    result<> poll(std::chrono::milliseconds now) noexcept
    {
        return detail::done(larder_monitor_poll(raw(), detail::count(now)));
    }

    /// A running thread follows at once. status::invalid for 0 or less.
    result<> set_interval(std::chrono::milliseconds interval) noexcept
    {
        return detail::done(larder_monitor_set_interval(raw(), detail::count(interval)));
    }

    result<larder_monitor_stats_t> stats() const noexcept
    {
        larder_monitor_stats_t stats = LARDER_MONITOR_STATS_INIT;
        return detail::answer(larder_monitor_stats(raw(), &stats), stats);
    }

    /// Writes the newest remembered samples into an array of larder_monitor_sample, the oldest of them first, and
    /// answers how many. There are at most LARDER_MONITOR_HISTORY.
    template <class Samples> result<std::uint32_t> history(Samples &&out) const noexcept
    {
        std::uint32_t count = 0;
        const larder_status status =
            larder_monitor_history(raw(), std::data(out), static_cast<std::uint32_t>(std::size(out)), &count);
        return detail::answer(status, count);
    }

#ifdef LARDER_HOSTED
    /// Starts a thread that checks at the interval. status::busy where there is one already.
    result<> start() noexcept { return detail::done(larder_monitor_start(raw())); }
    /// Has a value once the thread has ended. status::busy from inside on_report.
    result<> stop() noexcept { return detail::done(larder_monitor_stop(raw())); }
#endif

private:
    larder_monitor *raw() noexcept { return is_ready_ ? &raw_ : nullptr; }
    const larder_monitor *raw() const noexcept { return is_ready_ ? &raw_ : nullptr; }

    result<> halt() noexcept
    {
#ifdef LARDER_HOSTED
        if (is_ready_)
            return stop();
#endif
        return {};
    }

    larder_monitor raw_{};
    bool is_ready_ = false;
};

// ---- pool and arena ----

/// How a pool is set up: the fields of larder_pool_config, with their defaults. The hooks must not throw.
struct pool_config : larder_pool_config {
    pool_config() noexcept : larder_pool_config LARDER_POOL_CONFIG_INIT {}
    pool_config(const larder_pool_config &raw) noexcept : larder_pool_config(raw) {}
};

/// A block of a pool, aligned to LARDER_ALIGN, that releases itself. It may outlive the larder::pool that gave it, but
/// not the region.
class block {
public:
    block() noexcept = default;
    explicit block(const larder_block &raw) noexcept : held_(raw.pool, give_back{raw}) {}

    std::byte *data() const noexcept { return held_ ? static_cast<std::byte *>(raw().data) : nullptr; }
    /// Bytes asked for.
    std::size_t size() const noexcept { return held_ ? raw().size : 0; }
    /// Bytes that there are.
    std::size_t capacity() const noexcept { return held_ ? raw().capacity : 0; }

    /// Releases before the destructor does. A second call is status::stale.
    result<> release() noexcept
    {
        (void)held_.release();
        return detail::done(larder_block_release(&held_.get_deleter().raw));
    }

    const larder_block &raw() const noexcept { return held_.get_deleter().raw; }

private:
    struct give_back {
        larder_block raw; // zero where nothing is held
        void operator()(larder_pool *) noexcept { larder_block_release(&raw); }
    };
    std::unique_ptr<larder_pool, give_back> held_;
};

/// A pool of reusable blocks in a region of the caller's. Calls may come from any thread.
class pool {
public:
    pool() noexcept = default;
    /// A handle that larder_pool_init gave.
    explicit pool(larder_pool *handle) noexcept : handle_(handle) {}
    larder_pool *handle() const noexcept { return handle_.get(); }

    /// Makes a pool in a region that starts at a multiple of LARDER_ALIGN. status::misaligned, status::no_memory for a
    /// region that is too small.
    static result<pool> create(buffer region, const pool_config &config = {}) noexcept
    {
        larder_pool *handle = nullptr;
        const larder_status status = larder_pool_init(region.data(), region.size(), &config, &handle);
        return detail::answer(status, pool(handle));
    }

    /// status::invalid for a size of 0, status::too_large, status::no_memory where too little is free.
    result<block> alloc(std::size_t size) noexcept
    {
        larder_block raw{};
        const larder_status status = larder_pool_alloc(handle(), size, &raw);
        if (status != LARDER_OK)
            return static_cast<larder::status>(status);
        return block(raw);
    }

    result<larder_pool_stats_t> stats() const noexcept
    {
        larder_pool_stats_t stats = LARDER_POOL_STATS_INIT;
        return detail::answer(larder_pool_stats(handle(), &stats), stats);
    }

    /// status::not_found past the last class.
    result<larder_pool_class_stats_t> class_stats(std::uint32_t index) const noexcept
    {
        larder_pool_class_stats_t stats = LARDER_POOL_CLASS_STATS_INIT;
        return detail::answer(larder_pool_class_stats(handle(), index, &stats), stats);
    }

private:
    detail::handle<larder_pool> handle_;
};

/// A bump allocator in regions of the caller's. One thread at a time.
class arena {
public:
    arena() noexcept = default;
    /// A handle that larder_arena_init gave.
    explicit arena(larder_arena *handle) noexcept : handle_(handle) {}
    larder_arena *handle() const noexcept { return handle_.get(); }

    /// Makes an arena in a region that starts at a multiple of LARDER_ALIGN. status::misaligned, status::no_memory.
    static result<arena> create(buffer region) noexcept
    {
        larder_arena *handle = nullptr;
        const larder_status status = larder_arena_init(region.data(), region.size(), &handle);
        return detail::answer(status, arena(handle));
    }

    /// Another region to hand out, up to eight in all; it lives as long as the first.
    result<> add_region(buffer region) noexcept
    {
        return detail::done(larder_arena_add_region(handle(), region.data(), region.size()));
    }

    /// The next `size` bytes, valid until reset(). status::invalid for a size of 0 or an alignment that is no power of
    /// two, status::too_large, status::no_memory.
    result<void *> alloc(std::size_t size, std::size_t align = alignof(std::max_align_t)) noexcept
    {
        void *data = nullptr;
        return detail::answer(larder_arena_alloc(handle(), size, align, &data), data);
    }

    /// Takes everything back. No destructor runs.
    result<> reset() noexcept { return detail::done(larder_arena_reset(handle())); }

    result<larder_arena_stats_t> stats() const noexcept
    {
        larder_arena_stats_t stats = LARDER_ARENA_STATS_INIT;
        return detail::answer(larder_arena_stats(handle(), &stats), stats);
    }

private:
    detail::handle<larder_arena> handle_;
};

// ---- std::pmr ----

#ifdef LARDER_PMR

namespace detail {

/// For a memory resource, which cannot answer a status.
[[noreturn]] inline void out_of_memory()
{
#ifdef __cpp_exceptions
    throw std::bad_alloc();
#else
    std::abort();
#endif
}

} // namespace detail

/// Memory of a pool for std::pmr's containers. It outlives them; the pool's region outlives it. Any thread may use it.
/// Where the pool has no room, or its lock fails: std::bad_alloc, or std::abort in a build without exceptions. Each
/// allocation takes sizeof(larder_block) bytes more, rounded up to LARDER_ALIGN: what its release needs. Two are equal
/// where they are the same object.
class pool_resource : public std::pmr::memory_resource {
public:
    explicit pool_resource(pool &pool) noexcept : pool_(pool.handle()) {}

private:
    static constexpr std::size_t header = (sizeof(larder_block) + LARDER_ALIGN - 1) / LARDER_ALIGN * LARDER_ALIGN;

    // The block's structure lies before the bytes that are handed out.
    void *do_allocate(std::size_t size, std::size_t align) override
    {
        const std::size_t more = header + (align > LARDER_ALIGN ? align - LARDER_ALIGN : 0);
        larder_block block{};
        if (size > SIZE_MAX - more || larder_pool_alloc(pool_, size + more, &block) != LARDER_OK)
            detail::out_of_memory();
        std::byte *data = static_cast<std::byte *>(block.data) + header;
        const std::size_t past = reinterpret_cast<std::uintptr_t>(data) & (align - 1);
        data += past == 0 ? 0 : align - past;
        std::memcpy(data - header, &block, sizeof block);
        return data;
    }

    void do_deallocate(void *data, std::size_t, std::size_t) override
    {
        larder_block block;
        std::memcpy(&block, static_cast<std::byte *>(data) - header, sizeof block);
        const larder_status status = larder_block_release(&block);
        assert(status == LARDER_OK);
        (void)status;
    }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override { return this == &other; }

    larder_pool *pool_;
};

/// Memory of an arena for std::pmr's containers: what they give back is free after arena::reset alone. It outlives
/// them; the arena's region outlives it. One thread at a time. Where the arena has no room: std::bad_alloc, or
/// std::abort in a build without exceptions. Two are equal where they are the same object.
class arena_resource : public std::pmr::memory_resource {
public:
    explicit arena_resource(arena &arena) noexcept : arena_(arena.handle()) {}

private:
    void *do_allocate(std::size_t size, std::size_t align) override
    {
        void *data = nullptr;
        if (larder_arena_alloc(arena_, size == 0 ? 1 : size, align, &data) != LARDER_OK)
            detail::out_of_memory();
        return data;
    }

    void do_deallocate(void *, std::size_t, std::size_t) override {}

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override { return this == &other; }

    larder_arena *arena_;
};

#endif // LARDER_PMR

} // namespace larder

#ifdef __cpp_lib_span
// A std::span of one that is about to go is as good as of any other: neither owns its bytes.
template <> inline constexpr bool std::ranges::enable_borrowed_range<larder::bytes> = true;
template <> inline constexpr bool std::ranges::enable_borrowed_range<larder::buffer> = true;
#endif

#endif // LARDER_HPP
