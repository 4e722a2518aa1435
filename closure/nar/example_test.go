package nar_test

import (
	"fmt"

	"imprint/closure/nar"
	"imprint/internal/tree"
)

// The NAR hash of a file with the text "hello", as `nix-hash --type sha256 --base32` prints it.
func ExampleHash() {
	sum, size, err := nar.Hash(tree.NewFile("", &tree.Attr{Mode: 0o444}, tree.Text("hello\n")))
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(nar.EncodeBase32(sum[:]), size)
	// Output: 04zwf782yjwnh3q6hz5izfd6jyip8kgw6g6yj43fiqhbyhdd0dqw 120
}
