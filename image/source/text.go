package source

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"imprint/closure"
	"imprint/closure/narinfo"
	"imprint/internal/remote"
)

// suffix ends the names of files about items.
const suffix = ".narinfo"

// nameOf returns the name of the file about an item.
func nameOf(p closure.Path) string {
	return digits(p) + suffix
}

// digits returns the digits of a path, by which a cache has files about it.
func digits(p closure.Path) string {
	text, _, _ := strings.Cut(p.Base(), "-")
	return text
}

// look finds the narinfo of an item. What was kept is checked like what is fetched, and a signature by other keys is looked for in the cache.
func (c *Cache) look(ctx context.Context, p closure.Path, e *entry) error {
	if b, found := c.texts.Get(nameOf(p)); found && c.take(p, b, e) == nil {
		return nil
	}
	return c.ask(ctx, p, e)
}

// ask reads and checks the narinfo of an item in the cache.
func (c *Cache) ask(ctx context.Context, p closure.Path, e *entry) error {
	b, err := c.dir.ReadFile(ctx, nameOf(p), narinfo.MaxSize)
	if isMissing(err) {
		return fmt.Errorf("%s: %w", p, closure.ErrNotFound)
	}
	var refused *remote.RefusedError
	if errors.As(err, &refused) {
		return &InvalidError{c, err.Error(), refused.Hint}
	}
	if err != nil {
		return err
	}
	if err := c.take(p, b, e); err != nil {
		return c.wrong(nameOf(p), err)
	}
	e.asked = b
	return nil
}

// take parses and checks a narinfo.
func (c *Cache) take(p closure.Path, b []byte, e *entry) error {
	text, err := narinfo.Parse(string(b))
	if err != nil {
		return err
	}
	info, err := c.check(p, text)
	if err != nil {
		return err
	}
	file, err := c.trust(info, text)
	if err == nil {
		e.text, e.info, e.file = text, info, file
	}
	return err
}

// remember keeps the texts about items that were realised: only those are known to be right. Where that fails, a later build asks again.
func (c *Cache) remember(items []*closure.Info) {
	if c.about != nil {
		_ = c.texts.Put(narinfo.CacheFile, c.about)
	}
	for _, info := range items {
		if e := c.entries[info.Path]; e.asked != nil {
			_ = c.texts.Put(nameOf(info.Path), e.asked)
		}
	}
}
