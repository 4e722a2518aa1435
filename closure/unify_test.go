package closure

import (
	"context"
	"strings"
	"testing"

	"imprint/internal/tree"
)

func TestUnify(t *testing.T) {
	file := func(name, content string) *tree.Node { return tree.NewFile(name, canonicalFile, tree.Text(content)) }
	program := func(name, content string) *tree.Node { return tree.NewFile(name, canonicalProgram, tree.Text(content)) }
	item := tree.NewDir("", canonicalDir, []*tree.Node{
		file("a", "same"),
		tree.NewDir("b", canonicalDir, []*tree.Node{file("c", "same"), file("d", "diff"), program("e", "same"), file("f", "")}),
		program("g", "same"),
		tree.NewSymlink("h", canonicalSymlink, "same"),
		file("i", ""),
	})
	if err := Unify(context.Background(), item, AnySize, nil); err != nil {
		t.Fatal(err)
	}
	b := tree.NewBuilder(canonicalDir)
	if err := b.Add("/", item, ""); err != nil {
		t.Fatal(err)
	}
	sealed, err := b.Tree()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for path, n := range sealed.Walk() {
		if n.Kind() == tree.Link {
			got = append(got, path+"="+n.Inode().Name)
		}
	}
	if want := "/b/c=a /g=e /i=f"; strings.Join(got, " ") != want {
		t.Errorf("links %v; want %s", got, want)
	}
}

// An item that is a file or a symlink stays as it is.
func TestUnifySingleFile(t *testing.T) {
	for _, n := range []*tree.Node{tree.NewFile("x", canonicalFile, tree.Text("x")), tree.NewSymlink("x", canonicalSymlink, "y")} {
		if err := Unify(context.Background(), n, AnySize, nil); err != nil {
			t.Error(err)
		}
	}
}

// Contents are read only to compare files of one size and kind that are not empty.
func TestCompares(t *testing.T) {
	program := tree.NewFile("b", canonicalProgram, tree.Text("same"))
	for want, nodes := range map[bool][][]*tree.Node{
		true: {{tree.NewFile("a", canonicalFile, tree.Text("same")), tree.NewDir("b", canonicalDir, []*tree.Node{tree.NewFile("c", canonicalFile, tree.Text("diff"))})}},
		false: {
			{tree.NewFile("a", canonicalFile, tree.Text("same")), program},
			{tree.NewFile("a", canonicalFile, tree.Text("")), tree.NewFile("b", canonicalFile, tree.Text(""))},
			{tree.NewSymlink("a", canonicalSymlink, "same"), tree.NewFile("b", canonicalFile, tree.Text("same"))},
		},
	} {
		for i, kids := range nodes {
			n := tree.NewDir("", canonicalDir, kids)
			if got := Compares(n, AnySize); got != want {
				t.Errorf("%d: %t, want %t", i, got, want)
			}
			if Compares(n, 4) {
				t.Errorf("%d: files that are too large are compared", i)
			}
		}
	}
}
