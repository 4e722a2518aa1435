package imagecmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"imprint/image/disk"
	"imprint/internal/pattern"
	"imprint/internal/tree"
)

// find opens IMAGE[:PARTITION] and returns the node at a path; with follow, a link at the end of the path is followed. A path that does not
// exist may be a pattern, and stands for all that it matches. Without a PARTITION, only one region may have such paths.
func (w World) find(ctx context.Context, image, at string, follow bool) ([]tree.Walked, io.Closer, error) {
	name, partition := image, ""
	if _, err := os.Stat(image); err != nil {
		if i := strings.LastIndexByte(image, ':'); i > 0 {
			name, partition = image[:i], image[i+1:]
		}
	}
	clean, err := tree.Clean(at)
	if err != nil {
		return nil, nil, w.usagef("%s: %v", at, err)
	}
	d, f, err := w.open(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	regions := d.Regions
	if partition != "" {
		region, err := d.Find(partition)
		if err == nil {
			err = region.Err
		}
		if err != nil {
			f.Close()
			return nil, nil, err
		}
		regions = []*disk.Region{region}
	}
	found, in := inRegions(regions, func(r *disk.Region) []tree.Walked { return named(r, clean, follow) })
	if len(in) == 0 {
		found, in = inRegions(regions, func(r *disk.Region) []tree.Walked { return matching(r, clean) })
	}
	if len(in) == 1 {
		return found, f, nil
	}
	f.Close()
	if len(in) == 0 {
		return nil, nil, fmt.Errorf("%s: there is no %s", image, tree.Shown(clean))
	}
	return nil, nil, w.usagef("%s is in several partitions, %s: write %s:PARTITION", tree.Shown(clean), strings.Join(in, ", "), tree.Shown(name))
}

// inRegions returns the nodes that look finds in regions with a file system, and the names of the regions that have some.
func inRegions(regions []*disk.Region, look func(*disk.Region) []tree.Walked) (found []tree.Walked, in []string) {
	for _, r := range regions {
		if r.Volume == nil {
			continue
		}
		if list := look(r); len(list) > 0 {
			found, in = append(found, list...), append(in, r.String())
		}
	}
	return found, in
}

// named returns the node at a path, if there is one. Links on the way are followed.
func named(r *disk.Region, at string, follow bool) []tree.Walked {
	n := r.Volume.Tree.Find(at)
	if n == nil || follow {
		n = r.Lookup(at)
	}
	if n == nil {
		return nil
	}
	return []tree.Walked{{Path: at, Node: n}}
}

// matching returns the nodes whose paths a pattern matches, without those below others.
func matching(r *disk.Region, text string) (found []tree.Walked) {
	set, err := pattern.Parse([]string{text})
	if err != nil || !strings.ContainsAny(text, `*?[\`) {
		return nil
	}
	for at, n := range r.Volume.Tree.Walk() {
		below := len(found) > 0 && strings.HasPrefix(at, found[len(found)-1].Path+"/")
		if !below && set.Match(at, n.Kind() == tree.Dir) {
			found = append(found, tree.Walked{Path: at, Node: n})
		}
	}
	return found
}
