package description

import (
	"strings"

	"imprint/closure/narinfo"
	"imprint/internal/diag"
	"imprint/internal/remote"
)

// allSources checks that every source is a directory, an image, a cache or a stream.
func (c *checker) allSources() {
	for _, s := range c.d.Source.Items {
		own := s.Own()
		for _, t := range []Text{s.Path, s.Registration, s.Image, s.URL, s.Export} {
			if own.Written() && t.Written() && t.Key != own.Key {
				name := own.Key.Path[strings.LastIndexByte(own.Key.Path, '.')+1:]
				c.Report(t.Key, "does not go with "+name+", which has a store of its own", "remove one of them")
			}
		}
		if s.Partition.Written() && !s.Image.Written() {
			c.Report(s.Partition.Key, "is for an image, but this source has none", "add image, or remove partition")
		}
		c.cache(s)
	}
}

// cache checks a binary cache: its items have to be signed, or need not be, and which of the two is written.
func (c *checker) cache(s Source) {
	if !s.URL.Written() {
		for _, k := range []diag.Key{s.Keys.Key, s.Unsigned.Key} {
			if k.Written {
				c.Report(k, "is for a binary cache, but this source has none", "add url, or remove it")
			}
		}
		return
	}
	if _, err := remote.Parse(s.URL.V); err != nil && s.URL.V != "" {
		c.Report(s.URL.Key, err.Error(), `as in "https://cache.example.org" or "file:///srv/cache"`)
	}
	for _, k := range s.Keys.Items {
		if _, err := narinfo.ParseKey(k.V); err != nil {
			c.ReportError(k.Key, err)
		}
	}
	switch {
	case s.Unsigned.V && s.Keys.Written():
		c.Report(s.Unsigned.Key, "does not go with trusted-public-keys: items are signed, or need not be", "remove one of them")
	case !s.Unsigned.V && len(s.Keys.Items) == 0:
		c.Report(s.URL.Key, "needs trusted-public-keys: whoever can write to the cache could put anything into the image",
			"name the key of the cache, or write unsigned = true if only you can write to it")
	}
}
