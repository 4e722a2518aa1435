package storecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"imprint/closure"
	"imprint/image/disk"
	"imprint/internal/diag"
)

// openImage opens the store in an image: IMAGE, or IMAGE:PARTITION.
func (m *commands) openImage(ctx context.Context, text string, f closure.Flavor) (*place, error) {
	name, partition := text, ""
	if _, err := os.Stat(text); err != nil {
		i := strings.LastIndexByte(text, ':')
		name, partition = text[:i], text[i+1:]
	}
	d, file, err := m.Image(ctx, name)
	var failed *fs.PathError
	if err != nil && !errors.As(err, &failed) {
		return nil, diag.Mistake{Text: err.Error(), Hint: "a STORE is a directory, an image, a stream, a binary cache or a daemon: imprint store --help"}
	}
	if err != nil {
		return nil, err
	}
	s, err := storeIn(ctx, d, partition, f)
	if err != nil {
		file.Close()
		return nil, err
	}
	return &place{Store: imageStore{s, text}, kind: imageKind, image: s, list: s, closes: []io.Closer{s, file}}, nil
}

// An imageStore is a store in an image, with its name.
type imageStore struct {
	*closure.TreeStore
	image string
}

// String is what messages call the store.
func (s imageStore) String() string { return s.Flavor().StoreDir + " in " + s.image }

// storeIn returns the store in a partition of an image, or in the only one that has one.
func storeIn(ctx context.Context, d *disk.Disk, partition string, f closure.Flavor) (*closure.TreeStore, error) {
	regions := d.Regions
	if partition != "" {
		r, err := d.Find(partition)
		if err != nil {
			return nil, diag.Mistake{Text: err.Error()}
		}
		if r.Err != nil {
			return nil, r.Err
		}
		regions = []*disk.Region{r}
	}
	var found []*disk.Region
	for _, r := range regions {
		if r.Has(f) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return nil, diag.Mistake{Text: "there is no " + f.Database() + " in it"}
	case 1:
		return closure.OpenTree(ctx, found[0].Volume.Tree, f)
	}
	return nil, diag.Mistake{Text: "several partitions have a store", Hint: fmt.Sprintf("write IMAGE:PARTITION, where that is %v or %v", found[0].Name, found[1].Name)}
}
