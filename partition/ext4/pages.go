package ext4

import "math/bits"

// pages is an array of any length, of which only the parts that are written take memory.
type pages[T any] struct {
	all  map[int64]*[pageLen]T
	at   int64 // the number of last
	last *[pageLen]T
}

const pageLen = 512

// find returns an element, nil if nothing near it was written.
func (p *pages[T]) find(i int64) *T {
	if page := i / pageLen; p.last == nil || p.at != page {
		found := p.all[page]
		if found == nil {
			return nil
		}
		p.at, p.last = page, found
	}
	return &p.last[i%pageLen]
}

// get returns an element to be written.
func (p *pages[T]) get(i int64) *T {
	if e := p.find(i); e != nil {
		return e
	}
	if p.all == nil {
		p.all = map[int64]*[pageLen]T{}
	}
	p.at, p.last = i/pageLen, new([pageLen]T)
	p.all[p.at] = p.last
	return &p.last[i%pageLen]
}

// A bitset is a set of numbers.
type bitset struct{ words pages[uint64] }

// mask has bits [from, to) of the word that from is in, and end is where it ends.
func mask(from, to int64) (m uint64, end int64) {
	end = min(to, from/64*64+64)
	return ^uint64(0) >> (64 - (end - from)) << (from % 64), end
}

// set adds the numbers [from, from+n). It returns the first one that was there before.
func (s *bitset) set(from, n int64) (twice int64, ok bool) {
	for at, to := from, from+n; at < to; {
		m, end := mask(at, to)
		w := s.words.get(at / 64)
		if both := *w & m; both != 0 && !ok {
			twice, ok = at/64*64+int64(bits.TrailingZeros64(both)), true
		}
		*w |= m
		at = end
	}
	return twice, ok
}

// count returns how many of the numbers [from, from+n) are in the set.
func (s *bitset) count(from, n int64) (count int64) {
	for at, to := from, from+n; at < to; {
		m, end := mask(at, to)
		if w := s.words.find(at / 64); w != nil {
			count += int64(bits.OnesCount64(*w & m))
		}
		at = end
	}
	return count
}

// word returns 64 numbers from a number on as bits, the first as the lowest.
func (s *bitset) word(from int64) (w uint64) {
	if p := s.words.find(from / 64); p != nil {
		w = *p >> (from % 64)
	}
	if from%64 != 0 {
		if p := s.words.find(from/64 + 1); p != nil {
			w |= *p << (64 - from%64)
		}
	}
	return w
}
