package host_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"imprint/image/imagetest"
)

// What is compressed is refused where nothing would unpack it, whatever it is called, and content that is not what the type of its
// partition says brings a warning.
func TestBytesOfContent(t *testing.T) {
	w := imagetest.New(t)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte("a file system"))
	z.Close()
	w.File("fs.img", packed.String())
	w.File("fs.xz", "\xfd7zXZ\x00…")
	w.File("fs.zst", "\x28\xb5\x2f\xfd…")
	w.File("plain.xz", "not compressed")
	w.File("swap", strings.Repeat("\x00", 4086)+"SWAPSPACE2")
	partition := func(kind, content string) string {
		return fmt.Sprintf("[[partition]]\nname = \"p\"\ntype = %q\nfilesystem = \"none\"\ncontent = %q\n", kind, content)
	}
	const foreign = "fe3a2a5d-4f32-41a7-b725-accc3285a309"
	raw := partition("linux-generic", "plain.xz") + "[[raw]]\noffset = \"64KiB\"\nsource = \"fs.zst\"\n"
	for _, c := range []struct{ text, refusal, warning string }{
		{partition("root", "fs.img"), "partition[0].content: fs.img is compressed with gzip, and nothing will unpack it\nhint: unpack it first (gzip -d)", ""},
		{partition("linux-generic", "fs.xz"), "compressed with xz", ""},
		{raw, "raw[0].source: fs.zst is compressed with zstd", ""},
		{partition("linux-generic", "plain.xz"), "", ""},
		{partition(foreign, "fs.xz"), "", "partition[0].content: fs.xz is compressed with xz and will be copied as it is"},
		{partition(foreign, "plain.xz"), "", ""},
		{partition("swap", "plain.xz"), "", `plain.xz does not look like swap space, which a partition of type "swap" holds`},
		{partition("root-verity", "swap"), "", "swap does not look like dm-verity hashes"},
		{partition("swap", "swap"), "", ""},
	} {
		p, err := w.Plan(c.text)
		switch {
		case c.refusal != "":
			if err == nil || !strings.Contains(err.Error(), c.refusal) {
				t.Errorf("error %v, want %s", err, c.refusal)
			}
		case err != nil:
			t.Errorf("%s: %v", c.text, err)
		case len(p.Warnings) == 0 != (c.warning == "") || !strings.Contains(p.Warnings.Error(), c.warning):
			t.Errorf("warnings %v, want %s", p.Warnings, c.warning)
		}
	}
	w.File("t.tar.lzo", "\x89LZO\x00\r\n\x1a\n and so on")
	_, err := w.Plan("[[partition]]\nname = \"p\"\ntype = \"root\"\nfilesystem = \"ext4\"\ntree = [{ source = \"t.tar.lzo\" }]\n")
	if err == nil || !strings.Contains(err.Error(), "partition[0].tree[0].source: read "+w.Dir+"/t.tar.lzo: compressed with lzop: unpack it first (lzop -d)") {
		t.Errorf("error %v", err)
	}
}
