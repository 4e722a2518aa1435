// Package recent keeps values that are costly to make for as long as they are used: a cache that is bounded by the bytes of its values and drops
// the one that was not used for the longest time.
package recent

import "sync"

// A Cache keeps values by their keys. It is safe for concurrent use.
type Cache[K comparable, V any] struct {
	most    int64 // bytes
	mu      sync.Mutex
	bytes   int64
	entries map[K]*entry[K, V]
	head    entry[K, V] // of a ring: next is the most recently used
}

type entry[K comparable, V any] struct {
	key        K
	size       int64
	once       sync.Once
	value      V
	err        error
	prev, next *entry[K, V]
}

// New returns a cache of values with at most so many bytes together, and of one value at least.
func New[K comparable, V any](most int64) *Cache[K, V] {
	c := &Cache[K, V]{most: most, entries: map[K]*entry[K, V]{}}
	c.head.prev, c.head.next = &c.head, &c.head
	return c
}

// Get returns the value of a key, of size bytes, which it makes if it is not there. An error is kept like a value. Whoever asks for the same key at the
// same time waits for one making.
func (c *Cache[K, V]) Get(key K, size int64, make func() (V, error)) (V, error) {
	e := c.entry(key, size)
	e.once.Do(func() { e.value, e.err = make() })
	return e.value, e.err
}

// entry returns the entry of a key, new or existing, as the most recently used.
func (c *Cache[K, V]) entry(key K, size int64) *entry[K, V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, known := c.entries[key]
	if known {
		e.unlink()
	} else {
		for c.bytes += size; c.bytes > c.most && len(c.entries) > 0; {
			c.drop(c.head.prev)
		}
		e = &entry[K, V]{key: key, size: size}
		c.entries[key] = e
	}
	e.prev, e.next = &c.head, c.head.next
	e.prev.next, e.next.prev = e, e
	return e
}

func (c *Cache[K, V]) drop(e *entry[K, V]) {
	e.unlink()
	delete(c.entries, e.key)
	c.bytes -= e.size
}

func (e *entry[K, V]) unlink() { e.prev.next, e.next.prev = e.next, e.prev }
