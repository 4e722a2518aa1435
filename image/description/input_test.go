package description

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

const usesInputs = `name = "x"
arch = "x86_64"
[[input]]
name = "a"
sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
size = "1KiB"
locators = ["file:a", "store:/gnu/store/x", "ipfs:QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN"]
[[input]]
name = "b"
locators = ["annex:b"]
[boot]
loader = "extlinux"
[[boot.entry]]
title = "x"
kernel = "${input.a}"
initrd = ["${input.b}", "initrd"]
[[partition]]
name = "p"
type = "root"
filesystem = "ext4"
  [[partition.file]]
  path = "/x"
  source = "${input.c}"
  [[partition.file]]
  path = "/y"
  text = "$${input.d}"
[[input]]
name = "c"
locators = ["https://example.org/c"]
`

// Inputs stand where files of the host are named, and their keys are known.
func TestInputs(t *testing.T) {
	d, err := Parse("image.toml", []byte(usesInputs))
	if err != nil {
		t.Fatal(err)
	}
	used := d.UsedInputs()
	if names := slices.Sorted(maps.Keys(used)); !slices.Equal(names, []string{"a", "b", "c"}) || used["b"].Path != "boot.entry[0].initrd[0]" {
		t.Errorf("%v", used)
	}
	if _, ok := d.Input.Items[0].Digest(); !ok {
		t.Error("the digest is not read")
	}
	if _, ok := d.Input.Items[1].Digest(); ok {
		t.Error("there is a digest")
	}
}

func TestInputsRefuse(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`name = "c"`, `name = "a"`, `input[2].name: the name "a" is already used by input[0].name`},
		{`name = "c"`, `name = "cc"`, "partition[0].file[0].source: there is no input \"c\"\nhint: did you mean"},
		{`name = "c"`, `name = "../c"`, `input[2].name: "../c" is not a name of an input`},
		{`name = "b"`, `name = ""`, `input[1].name: is empty`},
		{`"2cf2`, `"2CF2`, "input[0].sha256: "},
		{`"1KiB"`, `"auto"`, "input[0].size: is not a number of bytes"},
		{`["annex:b"]`, `[]`, "input[1].locators: is empty"},
		{`locators = ["annex:b"]`, ``, "input[1].locators: is required"},
		{`"annex:b"`, `"b"`, "input[1].locators[0]: is no locator"},
		{`/gnu/store/x`, `/srv/x`, `"/srv/x" is not in a store`},
		{`"${input.c}"`, `"${input.c}/x"`, "substitutions are not valid here\nhint: except for ${input.NAME}, alone"},
		{`"$${input.d}"`, `"${input.d}"`, "${input.d} is not valid here: it is a file, not a text"},
		{`"${input.a}"`, `"${input.a}/x"`, "${input.a} is not valid here"},
		{`"${input.a}"`, `"${input.}"`, "${input.} is not ${input.NAME}"},
		{`arch = "x86_64"`, `arch = "${input.a}"`, "arch: an input is not valid here"},
	} {
		if !strings.Contains(usesInputs, c.old) {
			t.Fatalf("%q is not in the description", c.old)
		}
		_, err := Parse("image.toml", []byte(strings.Replace(usesInputs, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\nlacks %s", c.new, err, c.want)
		}
	}
}
