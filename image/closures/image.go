package closures

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"imprint/closure"
	"imprint/image/description"
	"imprint/image/disk"
	"imprint/internal/diag"
)

// openImage opens the store in an image. The contents of its items are parts of the image, which therefore stays open while the plan is in
// use. They are verified like all others: nothing in the image is believed.
func (s *sources) openImage(ctx context.Context, d description.Source) error {
	path := s.path(d.Image.V)
	opened, err := openDisk(path)
	if err != nil {
		return s.refuseImage(d.Image.Key, err)
	}
	region, problem := s.storeRegion(opened, d)
	if problem != nil {
		s.problems = append(s.problems, *problem)
		return nil
	}
	store, err := closure.OpenTree(ctx, region.Volume.Tree, s.Flavor)
	if err != nil {
		return s.refuse(d.Image.Key, fmt.Errorf("%s, %v: %w", path, region, err))
	}
	s.add(imageStore{store, path}, place{key: d.Image.Key, image: store})
	return nil
}

// An imageStore is a store in an image.
type imageStore struct {
	*closure.TreeStore
	image string // path on the host
}

// String is what messages call the store.
func (s imageStore) String() string { return s.Flavor().StoreDir + " in " + s.image }

// errNoImage is matched by the errors for a file that is no disk image.
var errNoImage = errors.New("is no disk image")

// openDisk opens an image, which must be a file that can be read at any offset.
func openDisk(path string) (*disk.Disk, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if m := info.Mode(); !m.IsRegular() && m.Type() != fs.ModeDevice {
		return nil, fmt.Errorf("%s %w: it is no regular file", path, errNoImage)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekEnd) // of a block device too
	if err != nil {
		f.Close()
		return nil, err
	}
	opened, err := disk.Open(f, size)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s %w: %w", path, errNoImage, err)
	}
	return opened, nil
}

// refuseImage turns an error of opening an image into a problem at its key, unless it is one of the world.
func (s *sources) refuseImage(key diag.Key, err error) error {
	if !errors.Is(err, errNoImage) && !errors.Is(err, fs.ErrNotExist) && !isBadName(err) {
		return err
	}
	s.problems = append(s.problems, key.ProblemOf(err))
	return nil
}

// storeRegion finds the partition of an image that holds the store: the one that the source names, or the only one with a store.
func (s *sources) storeRegion(d *disk.Disk, source description.Source) (*disk.Region, *diag.Problem) {
	if name := source.Partition; name.Written() {
		region, err := d.Find(name.V)
		if err == nil && !region.Has(s.Flavor) {
			err = fmt.Errorf("there is no %s in %s", s.Flavor.Database(), listed(region))
		}
		if err != nil {
			p := name.Key.ProblemOf(err)
			return nil, &p
		}
		return region, nil
	}
	var found []*disk.Region
	for _, r := range d.Regions {
		if r.Has(s.Flavor) {
			found = append(found, r)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	p := source.Image.Key.Problem("has several partitions with a store: "+listed(found...), "select one with partition")
	if len(found) == 0 {
		p = source.Image.Key.Problem(fmt.Sprintf("has no store: there is no %s in %s", s.Flavor.Database(), listed(d.Regions...)), s.otherFlavor(d))
	}
	return nil, &p
}

// otherFlavor is the hint if an image has a store of another flavor, else "".
func (s *sources) otherFlavor(d *disk.Disk) string {
	for _, f := range closure.Flavors() {
		if slices.ContainsFunc(d.Regions, func(r *disk.Region) bool { return r.Has(f) }) {
			return ofFlavor(f)
		}
	}
	return ""
}

// listed names regions, with the reasons why some cannot be read.
func listed(regions ...*disk.Region) string {
	var names []string
	for _, r := range regions {
		name := r.String()
		switch {
		case r.Err != nil:
			name += fmt.Sprintf(" (which cannot be read: %v)", r.Err)
		case r.Volume == nil:
			name += " (which has no file system that can be read)"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
