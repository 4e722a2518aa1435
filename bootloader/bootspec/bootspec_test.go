package bootspec

import (
	"fmt"
	"strings"
	"testing"

	"imprint/internal/hosttest"

	"github.com/google/go-cmp/cmp"
)

// document is a bootspec as NixOS writes it, shortened.
const document = `{
  "org.nixos.bootspec.v1": {
    "init": "/nix/store/a-system/init",
    "initrd": "/nix/store/b-initrd/initrd",
    "initrdSecrets": "/nix/store/c-append-initrd-secrets/bin/append-initrd-secrets",
    "kernel": "/nix/store/d-linux/bzImage",
    "kernelParams": ["loglevel=4", "dyndbg=\"file a.c +p\""],
    "label": "NixOS Warbler 25.05 (Linux 6.12)",
    "system": "x86_64-linux",
    "toplevel": "/nix/store/a-system"
  },
  "org.nixos.specialisation.v1": {
    "quiet": {
      "org.nixos.bootspec.v1": {"init": "/i", "kernel": "/k", "kernelParams": [], "label": "l", "system": "x86_64-linux", "toplevel": "/t", "initrd": null},
      "org.nixos.specialisation.v1": {"deeper": 1},
      "org.nixos.systemd-boot": {"sortKey": "other", "devicetree": "/d.dtb"}
    },
    "loud": {
      "org.nixos.bootspec.v1": {"init": "/i", "Kernel": "/other", "kernel": "/k", "kernelParams": ["x"], "label": "l", "system": "x86_64-linux", "toplevel": "/t"}
    }
  },
  "org.nixos.systemd-boot": {"sortKey": "nixos"},
  "org.example": [1, 2, {"any": "thing"}]
}`

func TestParse(t *testing.T) {
	got, err := Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	one := Spec{System: "x86_64-linux", Toplevel: "/t", Label: "l", Kernel: "/k", Init: "/i"}
	loud, quiet := one, one
	loud.Name, loud.Params = "loud", []string{"x"}
	quiet.Name, quiet.Params, quiet.SortKey, quiet.DeviceTree = "quiet", []string{}, "other", "/d.dtb"
	want := Spec{
		System: "x86_64-linux", Toplevel: "/nix/store/a-system", Label: "NixOS Warbler 25.05 (Linux 6.12)", Kernel: "/nix/store/d-linux/bzImage",
		Initrd: "/nix/store/b-initrd/initrd", Secrets: "/nix/store/c-append-initrd-secrets/bin/append-initrd-secrets", Init: "/nix/store/a-system/init",
		Params: []string{"loglevel=4", `dyndbg="file a.c +p"`}, SortKey: "nixos", Specialised: []Spec{loud, quiet},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestParseRefuses(t *testing.T) {
	many := map[string]string{}
	for i := range MaxSpecialisations + 1 {
		many[fmt.Sprint(i)] = ""
	}
	var list strings.Builder
	for name := range many {
		fmt.Fprintf(&list, "%q: {},", name)
	}
	change := func(old, new string) string { return strings.Replace(document, old, new, 1) }
	for text, want := range map[string]string{
		"":                                   "the document is not a JSON object",
		"[]":                                 "the document is not a JSON object",
		"null":                               "the document is not a JSON object",
		document + "x":                       "the document is not a JSON object",
		"{}":                                 "has no member org.nixos.bootspec.v1",
		`{"v1": {}}`:                         "has no member org.nixos.bootspec.v1",
		strings.Repeat(" ", 2<<20):           "is 2097152 bytes long, more than 1048576",
		`{"org.nixos.bootspec.v1": []}`:      "org.nixos.bootspec.v1 is not a JSON object",
		change(`"init": `, `"begin": `):      "has no member org.nixos.bootspec.v1.init",
		change(`"system": `, `"machine": `):  "has no member org.nixos.bootspec.v1.system",
		change(`"kernelParams"`, `"params"`): "has no member org.nixos.bootspec.v1.kernelParams",
		change(`["loglevel=4",`, `[1,`):      "org.nixos.bootspec.v1.kernelParams has another type",
		change(`loglevel=4`, `a\nb`):         `org.nixos.bootspec.v1.kernelParams contains a control character: "a\nb"`,
		change(`/nix/store/d-linux`, `x`):    `org.nixos.bootspec.v1.kernel is "x/bzImage", not an absolute path`,
		change(`"NixOS W`, `"Nix\u001bOS W`): "org.nixos.bootspec.v1.label contains a control character",
		change(`"quiet"`, `"../quiet"`):      `the specialisation "../quiet" has a name with other characters`,
		change(`"quiet": {`, `"quiet": [], "x": {`):      "quiet is not a JSON object",
		change(`{"sortKey": "nixos"}`, `1`):              "org.nixos.systemd-boot is not a JSON object",
		change(`"sortKey": "other"`, `"sortKey": 3`):     "org.nixos.specialisation.v1.quiet.org.nixos.systemd-boot.sortKey has another type",
		change(`"quiet": {`, list.String()+`"quiet": {`): "org.nixos.specialisation.v1 has 259 specialisations, more than 256",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%.80q) = %v, not %s", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(document)
	f.Add(`{"org.nixos.bootspec.v1": {"kernelParams": [null]}}`)
	f.Add(strings.Repeat(`{"a":`, 500))
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		s, err := Parse([]byte(text))
		if err != nil {
			return
		}
		if !strings.HasPrefix(s.Kernel, "/") || !strings.HasPrefix(s.Init, "/") || strings.ContainsAny(s.Label, "\n\x00") {
			t.Errorf("%q gives %+v", text, s)
		}
	})
}
