package tree_test

import (
	"context"
	"fmt"
	"os"

	"imprint/internal/tree"
)

func Example() {
	attr := &tree.Attr{Mode: 0o755}
	b := tree.NewBuilder(attr)
	for path, n := range map[string]*tree.Node{
		"/etc/hostname": tree.NewFile("", &tree.Attr{Mode: 0o644}, tree.Text("hello\n")),
		"/bin/sh":       tree.NewSymlink("", attr, "busybox"),
	} {
		if err := b.Add(path, n, "the example"); err != nil {
			fmt.Println(err)
		}
	}
	t, err := b.Tree()
	if err != nil {
		fmt.Println(err)
	}
	for path, n := range t.Walk() {
		fmt.Println(path, n.Kind(), n.Size())
	}
	// Output:
	// / directory 0
	// /bin directory 0
	// /bin/sh symlink 7
	// /etc directory 0
	// /etc/hostname file 6
}

func ExampleSlice() {
	disk := tree.Sparse(tree.Text("boot....root...."), []tree.Range{{Off: 0, Len: 4}, {Off: 8, Len: 4}})
	root := tree.Slice(disk, 8, 8)
	fmt.Println(root == tree.Slice(disk, 8, 8), tree.DataOf(root))
	tree.Copy(context.Background(), os.Stdout, root, nil)
	// Output:
	// true [{0 4}]
	// root....
}
