package iso9660

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
	"imprint/partition/partitiontest"

	"pgregory.net/rapid"
)

// A drawer draws trees. A host has fewer possibilities than an image: tools that put files on one are judges of those trees only.
type drawer struct {
	t           *rapid.T
	host        bool
	first, last int64        // times
	files       []*tree.Node // those that may get further names
}

func (d *drawer) name() string {
	switch rapid.IntRange(0, 3).Draw(d.t, "kind of name") {
	case 0:
		return rapid.StringMatching(`[a-z]{1,2}`).Draw(d.t, "name")
	case 1:
		return rapid.StringMatching(`[a-z.]{200,250}[a-z]{3}`).Draw(d.t, "name")
	case 2:
		return strings.Repeat("name", rapid.IntRange(1, 40).Draw(d.t, "times")) + rapid.StringMatching(`[A-Za-z.]{0,3}`).Draw(d.t, "name")
	}
	b := rapid.SliceOfN(rapid.ByteRange(1, 255), 1, 40).Draw(d.t, "name")
	if name := strings.ReplaceAll(string(b), "/", "|"); strings.Trim(name, ".") != "" && checkName(name) == nil {
		return name
	}
	return "neither"
}

func (d *drawer) target() string {
	longest := maxTarget
	if d.host {
		longest = 1000 // xorriso reads 1023 bytes
	}
	switch rapid.IntRange(0, 3).Draw(d.t, "kind of target") {
	case 0:
		return rapid.StringMatching(`[a-z/.]{1,300}`).Draw(d.t, "target")
	case 1:
		return "/nix/store/00000000000000000000000000000000-" + rapid.StringMatching(`[a-z]{1,80}(/[a-z]{1,30}){0,4}`).Draw(d.t, "target")
	case 2:
		piece := rapid.SampledFrom([]string{"../", "./", "/", "x/", "abc", strings.Repeat("n", 246) + "/"}).Draw(d.t, "piece")
		n := rapid.IntRange(1, longest/len(piece)).Draw(d.t, "pieces")
		return strings.Repeat(piece, n) + strings.Repeat("t", min(longest-n*len(piece), rapid.IntRange(0, 3).Draw(d.t, "rest")))
	}
	return strings.Repeat("t", rapid.IntRange(1, longest).Draw(d.t, "length"))
}

func (d *drawer) attr() *tree.Attr {
	return &tree.Attr{
		Mode:  rapid.Uint16Range(0, 0o7777).Draw(d.t, "mode"),
		UID:   rapid.Uint32Max(1<<32-2).Draw(d.t, "uid"),
		GID:   rapid.Uint32Max(1<<32-2).Draw(d.t, "gid"),
		Mtime: tree.Time{Sec: rapid.Int64Range(d.first, d.last).Draw(d.t, "seconds")},
	}
}

func (d *drawer) device(name string) *tree.Node {
	number := tree.Device{Major: rapid.Uint32Range(1, 4095).Draw(d.t, "major"), Minor: rapid.Uint32Range(0, 255).Draw(d.t, "minor")}
	if !d.host {
		number.Minor = rapid.Uint32Range(0, maxMinor).Draw(d.t, "minor")
	}
	kind := rapid.SampledFrom([]tree.Kind{tree.CharDevice, tree.BlockDevice}).Draw(d.t, "kind of device")
	return tree.NewDevice(name, d.attr(), kind, number)
}

func (d *drawer) node(depth int) *tree.Node {
	name := d.name()
	switch rapid.IntRange(0, 9).Draw(d.t, "kind") {
	case 0, 1:
		if depth < 4 {
			return tree.NewDir(name, d.attr(), d.nodes(depth+1))
		}
	case 2, 3, 4:
		n := tree.NewSymlink(name, d.attr(), d.target())
		if !d.host { // libarchive makes copies of links with several names
			d.files = append(d.files, n)
		}
		return n
	case 5:
		return d.device(name)
	case 6:
		return tree.NewSpecial(name, d.attr(), tree.Fifo)
	case 7:
		if len(d.files) > 0 {
			return tree.NewLink(name, rapid.SampledFrom(d.files).Draw(d.t, "linked"))
		}
	}
	size := rapid.IntRange(0, 9000).Draw(d.t, "size")
	if d.host {
		size++ // libarchive makes copies of empty files with several names
	}
	n := tree.NewFile(name, d.attr(), tree.Text(strings.Repeat("content", size/7+1)[:size]))
	d.files = append(d.files, n)
	return n
}

func (d *drawer) nodes(depth int) (nodes []*tree.Node) {
	seen := map[string]bool{}
	for range rapid.IntRange(0, 14).Draw(d.t, "nodes") {
		if n := d.node(depth); !seen[n.Name] {
			seen[n.Name] = true
			nodes = append(nodes, n)
		}
	}
	return nodes
}

func (d *drawer) tree() *tree.Tree {
	nodes := d.nodes(0)
	return build(d.t, map[string]*tree.Node{"/": tree.NewDir("", d.attr(), partitiontest.Rooted(nodes))})
}

// Any tree is read back as it was laid out.
func TestRandomTrees(t *testing.T) {
	t.Parallel()
	hosttest.Check(t, func(t *rapid.T) {
		tr := (&drawer{t: t, first: minTime, last: maxTime}).tree()
		o := testOptions()
		o.PartitionOffset = rapid.SampledFrom([]int64{0, 16, 17, 512}).Draw(t, "partition")
		same(t, plan(t, tr, o), tr)
	})
}

// xorriso and libarchive extract any tree as it was laid out. Trees are drawn from seeds, not by rapid: to shrink a failure would take
// minutes.
func TestRandomTreesExtracted(t *testing.T) {
	t.Parallel()
	hosttest.NeedRoot(t)
	hosttest.Need(t, "xorriso", "bsdtar")
	count := 8
	if slow() {
		count = 200
	}
	trees := rapid.Custom(func(t *rapid.T) *tree.Tree { return (&drawer{t: t, host: true, last: maxTime}).tree() })
	for i := range count {
		tr := trees.Example(i)
		image := write(t, plan(t, tr, testOptions()))
		for _, e := range extractors {
			dir := t.TempDir()
			e.run(t, image, dir)
			e.compare(t, tr, dir)
		}
	}
}

// slow reports whether the long sweeps run too.
func slow() bool { return os.Getenv("IMPRINT_SLOW") == "1" }

// A directory of links that xorriso made so that Linux read other targets.
func TestManyLinks(t *testing.T) {
	nodes := map[string]*tree.Node{}
	for i := range 60 {
		nodes[fmt.Sprintf("/dir/%024d", i)] = tree.NewSymlink("", plain, fmt.Sprintf("%0113d", i))
	}
	for i := range 397 {
		for k := range 1 + i%61 {
			name := fmt.Sprintf("/dirs/%d/%0*d", i, 1+i*7%200, k)
			nodes[name] = tree.NewSymlink("", plain, fmt.Sprintf("/%0*d/%0*d", 1+i*k%97, k, 1+i*13%240, i))
		}
	}
	tr := build(t, nodes)
	same(t, plan(t, tr, testOptions()), tr)
}
