package diskformat

import (
	"os/exec"
	"path/filepath"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/hosttree"
	"imprint/internal/tree"
)

// What qemu-img makes is recognised, in each format that it knows.
func TestOf(t *testing.T) {
	qemu := hosttest.Find(t, "qemu-img")
	for _, test := range []struct{ format, options, want string }{
		{"qcow2", "", "qcow2"}, {"vmdk", "", "VMDK"}, {"vmdk", "subformat=twoGbMaxExtentSparse", "VMDK"}, {"vhdx", "", "VHDX"},
		{"vpc", "subformat=dynamic", "VHD"}, {"vpc", "subformat=fixed", "VHD"}, {"vdi", "", "VDI"}, {"qed", "", "qed"}, {"parallels", "", "parallels"},
		{"raw", "", ""},
	} {
		name := filepath.Join(t.TempDir(), "disk")
		args := []string{"create", "-f", test.format, name, "1M"}
		if test.options != "" {
			args = append(args, "-o", test.options)
		}
		if out, err := exec.Command(qemu, args...).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", args, out)
			continue
		}
		b, err := hosttree.File(name)
		if err != nil {
			t.Fatal(err)
		}
		f, ok, err := Of(b)
		if ok != (test.want != "") || f.Name != test.want || ok && f.QEMU != test.format || err != nil {
			t.Errorf("%v is taken for %+v, %v", args, f, err)
		}
	}
}

func TestSmall(t *testing.T) {
	for _, text := range []string{"", "Q", "QFI", "conectix"[:7]} {
		if f, ok, err := Of(tree.Text(text)); ok || err != nil {
			t.Errorf("%q is taken for %v, %v", text, f, err)
		}
	}
}

func FuzzOf(f *testing.F) {
	f.Add("QFI\xfb")
	f.Add("conectix")
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		if found, ok, err := Of(tree.Text(text)); err != nil || ok == (found.QEMU == "") {
			t.Errorf("%v, %v, %v", found, ok, err)
		}
	})
}
