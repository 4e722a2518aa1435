package partitiontest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"imprint/internal/tree"
)

// A recipe is a random tree, as rapid draws it: nodes are attached to one of the directories before them.
type recipe struct {
	Kind    tree.Kind
	Parent  int
	Name    int // length
	Size    int64
	Runs    int // parts of a file that are not zeros
	Mode    uint16
	UID     uint32
	Mtime   tree.Time
	Xattr   int // bytes of the value, -1 for none
	Partner int
}

// testRandom makes random trees that the engine's file system can hold. Each is drawn from the number of its test, so it is the same on every
// run.
func testRandom(t *testing.T, e Engine) {
	count := 10
	if Slow() {
		count = 200
	}
	g := rapid.SliceOfN(drawRecipe(e), 1, 120)
	for i := range count {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			e.roundTrip(t, plant(t, g.Example(i)), defaults)
		})
	}
}

// RandomTree returns one of the trees that the suite makes for engines without limits, a different one for each seed.
func RandomTree(t testing.TB, seed int) *tree.Tree {
	return plant(t, rapid.SliceOfN(drawRecipe(Engine{}), 1, 200).Example(seed))
}

func (e Engine) kinds() []tree.Kind {
	kinds := []tree.Kind{tree.File, tree.File, tree.File, tree.Dir, tree.Dir}
	for _, of := range []struct {
		Feature
		kinds []tree.Kind
	}{{Symlinks, []tree.Kind{tree.Symlink, tree.Symlink}}, {HardLinks, []tree.Kind{tree.Link}}, {Specials, []tree.Kind{tree.CharDevice, tree.Fifo}},
		{Sockets, []tree.Kind{tree.Socket}}} {
		if !slices.Contains(e.Refuses, of.Feature) {
			kinds = append(kinds, of.kinds...)
		}
	}
	return kinds
}

func drawRecipe(e Engine) *rapid.Generator[recipe] {
	kinds := e.kinds()
	seconds := rapid.Int64Range(e.seconds()).Filter(func(sec int64) bool { return !slices.Contains(e.Unread, sec) })
	xattrs := rapid.Just(-1)
	if !slices.Contains(e.Refuses, Xattrs) {
		xattrs = rapid.SampledFrom([]int{-1, -1, -1, 0, 20, 80, 200, 3900})
	}
	return rapid.Custom(func(t *rapid.T) recipe {
		return recipe{
			Kind:    rapid.SampledFrom(kinds).Draw(t, "kind"),
			Parent:  rapid.IntRange(0, 1000).Draw(t, "parent"),
			Name:    rapid.OneOf(rapid.IntRange(1, 40), rapid.IntRange(1, 230)).Draw(t, "name"),
			Size:    rapid.OneOf(rapid.Int64Range(0, 9000), rapid.Int64Range(0, 300_000)).Draw(t, "size"),
			Runs:    rapid.SampledFrom([]int{1, 1, 1, 0, 2, 30}).Draw(t, "runs"),
			Mode:    rapid.Uint16Range(0, 0o7777).Draw(t, "mode"),
			UID:     rapid.Uint32Range(0, 1<<32-2).Draw(t, "uid"),
			Mtime:   tree.Time{Sec: seconds.Draw(t, "sec"), Nsec: rapid.Uint32Range(0, 999_999_999).Draw(t, "nsec")},
			Xattr:   xattrs.Draw(t, "xattr"),
			Partner: rapid.IntRange(0, 1000).Draw(t, "partner"),
		}
	})
}

// plant returns the tree of a list of recipes.
func plant(t testing.TB, recipes []recipe) *tree.Tree {
	g := newGrove(t)
	dirs, files := []string{""}, []*tree.Node{}
	for i, r := range recipes {
		path := fmt.Sprintf("%s/%d%s", dirs[r.Parent%len(dirs)], i, strings.Repeat("n", r.Name))
		n := r.node(files, byte(i))
		g.add(path, n)
		switch n.Kind() {
		case tree.Dir:
			dirs = append(dirs, path)
		case tree.Link:
		default:
			files = append(files, n)
		}
	}
	return g.tree()
}

func (r recipe) node(files []*tree.Node, seed byte) *tree.Node {
	a := &tree.Attr{Mode: r.Mode, UID: r.UID, GID: r.UID / 3, Mtime: r.Mtime}
	if r.Xattr >= 0 && r.Kind <= tree.Dir {
		a.Xattrs = []tree.Xattr{{Name: "security.s", Value: []byte("1")}, {Name: "user.u", Value: []byte(strings.Repeat("v", r.Xattr))}}
	}
	switch {
	case r.Kind == tree.Dir:
		return tree.NewDir("", a, nil)
	case r.Kind == tree.Symlink:
		return tree.NewSymlink("", a, strings.Repeat("t", int(r.Size%200)+1))
	case r.Kind == tree.CharDevice:
		return tree.NewDevice("", a, r.Kind, tree.Device{Major: uint32(r.Size % 4096), Minor: uint32(r.Partner) * 1000})
	case r.Kind == tree.Fifo || r.Kind == tree.Socket:
		return tree.NewSpecial("", a, r.Kind)
	case r.Kind == tree.Link && len(files) > 0:
		return tree.NewLink("", files[r.Partner%len(files)])
	}
	return tree.NewFile("", a, r.content(seed))
}

func (r recipe) content(seed byte) tree.Blob {
	step := r.Size / int64(r.Runs+1)
	if r.Runs == 1 || step < 2 {
		return random(seed, r.Size)
	}
	return newSparse(r.Size, every(step, step/2, r.Runs)...)
}
