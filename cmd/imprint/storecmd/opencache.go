package storecmd

import (
	"context"
	"fmt"
	"io"
	"strings"

	"imprint/closure"
	"imprint/closure/narinfo"
	"imprint/image/source"
)

func (m *commands) openCache(ctx context.Context, url string, f closure.Flavor) (*place, error) {
	keys, err := m.trusted()
	if err != nil {
		return nil, err
	}
	o := source.CacheOptions{URL: url, Flavor: f, Keys: keys, Keep: m.StoreDir(), Remote: m.Remote, Whole: ctx}
	if len(keys) == 0 && !m.unsigned && !strings.HasPrefix(url, "file://") {
		return nil, m.Usage(fmt.Errorf("%s: whoever can write to the cache could put anything into what is copied: name its --trusted-public-key, or add --unsigned", url))
	}
	s, err := source.OpenCache(ctx, o)
	if err != nil {
		return nil, err
	}
	return &place{Store: s, kind: cacheKind, closes: []io.Closer{s}}, nil
}

// trusted returns the keys of --trusted-public-key.
func (m *commands) trusted() (keys []narinfo.Key, err error) {
	for _, text := range m.keys {
		k, err := narinfo.ParseKey(text)
		if err != nil {
			return nil, m.Usage(err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}
