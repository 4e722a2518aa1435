package bootparameters

import (
	"strings"
	"testing"

	"imprint/internal/hosttest"

	"github.com/google/go-cmp/cmp"
)

// document has what Guix writes for a system, in its order.
const document = `;; made by Guix
(boot-parameters (version 1) (label "GNU with \"Linux-Libre\" 6.6.8")
 (root-device (uuid dce #vu8(0 17 34 51 68 85 102 119 136 153 170 187 204 221 238 255)))
 (kernel "/gnu/store/k-linux-libre-6.6.8/bzImage") (kernel-arguments ("quiet" "modprobe.blacklist=usbmouse,usbkbd"))
 (initrd "/gnu/store/i-raw-initrd/initrd.cpio.gz") (bootloader-name grub-efi) (bootloader-menu-entries ()) (locale "en_US.utf8")
 (store (device (uuid dce #vu8(1 2))) (mount-point "/") (directory-prefix #f) (crypto-devices ())))
`

func TestParse(t *testing.T) {
	got, err := Parse([]byte(document))
	want := Parameters{
		Version: 1, Label: `GNU with "Linux-Libre" 6.6.8`, Root: "00112233-4455-6677-8899-aabbccddeeff", Kernel: "/gnu/store/k-linux-libre-6.6.8/bzImage",
		Initrd: "/gnu/store/i-raw-initrd/initrd.cpio.gz", Arguments: []string{"quiet", "modprobe.blacklist=usbmouse,usbkbd"},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v\n%s", err, d)
	}
	line := "root=00112233-4455-6677-8899-aabbccddeeff gnu.system=/s gnu.load=/s/boot quiet modprobe.blacklist=usbmouse,usbkbd"
	if words := strings.Join(got.CommandLine("/s"), " "); words != line {
		t.Errorf("command line %s", words)
	}
}

// What other versions and other root file systems look like.
func TestForms(t *testing.T) {
	for _, c := range []struct{ old, new, line string }{
		{"(uuid dce #vu8(0 17 34 51 68 85 102 119 136 153 170 187 204 221 238 255))", `(file-system-label "my-root")`, "root=my-root gnu.system="},
		{"(uuid dce #vu8(0 17 34 51 68 85 102 119 136 153 170 187 204 221 238 255))", `"/dev/vda2"`, "root=/dev/vda2 gnu.system="},
		{"(uuid dce #vu8(0 17 34 51 68 85 102 119 136 153 170 187 204 221 238 255))", `"none"`, "gnu.system=/s gnu.load=/s/boot quiet "},
		{"(uuid dce #vu8(0 17", "#vu8(0 17", ""},
		{"(version 1)", "(version 0)", "--root=00112233-4455-6677-8899-aabbccddeeff --system=/s --load=/s/boot quiet "},
		{`"quiet"`, `"gr\xfc;n"`, "root=00112233-4455-6677-8899-aabbccddeeff gnu.system=/s gnu.load=/s/boot grün "},
		{`(initrd "/gnu/store/i-raw-initrd/initrd.cpio.gz")`, `(initrd (string-append "/gnu/store/i" "/initrd"))`, "root=00112233"},
		{`(initrd "/gnu/store/i-raw-initrd/initrd.cpio.gz")`, "(initrd #f) (new-field 1 2) (other)", "root=00112233"},
	} {
		text := strings.Replace(document, c.old, c.new, 1)
		if c.line == "" {
			text = strings.Replace(text, "238 255)))", "238 255))", 1)
		}
		p, err := Parse([]byte(text))
		if err != nil || !strings.HasPrefix(strings.Join(p.CommandLine("/s"), " "), c.line) {
			t.Errorf("%s: %v, %+v", c.new, err, p)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"(version 1)", "(version 2)", `has version "2", only 0 and 1 are known`},
		{"(version 1)", "", `has version "<nil>"`},
		{"(boot-parameters", "(boot-things", "does not begin with (boot-parameters"},
		{"(crypto-devices ())))", "(crypto-devices ())", "the text ends too early"},
		{"(crypto-devices ())))", "(crypto-devices ())))\nmore", "goes on after boot-parameters"},
		{`(label "GNU`, `(label "a") (label "GNU`, `has the field "label" twice`},
		{`with \"Linux`, `with \n\"Linux`, "label contains a control character"},
		{`with \"Linux`, `with \xd800;\"Linux`, "a character that is no Unicode"},
		{`"quiet"`, `quiet`, "kernel-arguments is missing, or not a text"},
		{`("quiet" "modprobe.blacklist=usbmouse,usbkbd")`, `"quiet"`, "kernel-arguments is not a list"},
		{`"/gnu/store/k-linux-libre-6.6.8/bzImage"`, `"bzImage"`, `kernel is "bzImage", not an absolute path`},
		{`(kernel "/gnu/store/k-linux-libre-6.6.8/bzImage")`, "", "kernel is missing"},
		{"238 255)", "238)", "a UUID of 15 bytes"},
		{"238 255)", "238 256)", "is no byte"},
		{"(uuid dce", "(name dce", "root-device is missing, or neither"},
		{"(bootloader-menu-entries ())", `(multiboot-modules (("a" "b")))`, "boots by multiboot"},
		{"(bootloader-menu-entries ())", strings.Repeat("(", 40) + strings.Repeat(")", 40), "more than 32 lists in each other"},
		{`"en_US.utf8"`, "\"\xff\"", "not UTF-8"},
	} {
		_, err := Parse([]byte(strings.Replace(document, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.new, err, c.want)
		}
	}
	if _, err := Parse(make([]byte, MaxSize+1)); err == nil || !strings.Contains(err.Error(), "more than 1048576") {
		t.Errorf("a long file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(document)
	f.Add(`(boot-parameters (version 0) (label "\x41;\\") (root-device #vu8()) (kernel "/k"))`)
	f.Add(strings.Repeat("(", 500))
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		p, err := Parse([]byte(text))
		if err != nil {
			return
		}
		if line := strings.Join(p.CommandLine("/s"), " "); !strings.HasPrefix(p.Kernel, "/") || strings.ContainsAny(p.Label+line, "\n\x00") {
			t.Errorf("%q gives %+v", text, p)
		}
	})
}
