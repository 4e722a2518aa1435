package closure

import (
	"regexp"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

const digits = "xp0dpr9yz5h0fk5c5lpj7zzqjbdh3w8c"

func TestParsePath(t *testing.T) {
	p, err := Nix.ParsePath("/nix/store/" + digits + "-hello-2.12.drv")
	if err != nil {
		t.Fatal(err)
	}
	if p.Base() != digits+"-hello-2.12.drv" || p.Name() != "hello-2.12.drv" || !p.IsDerivation() {
		t.Errorf("base %q, name %q, derivation %v", p.Base(), p.Name(), p.IsDerivation())
	}
}

// names are names in a store path, with the mistake in each, if any.
var names = []struct{ name, want string }{
	{"-a", ""},
	{"-.", ""},
	{"-.hidden", ""},
	{"--", ""},
	{"-?=+_.-Zz09", ""},
	{"-" + strings.Repeat("n", 211), ""},
	{"-" + strings.Repeat("n", 212), "212 characters after the digits, 211 are allowed"},
	{"-", "empty name"},
	{"", "32 characters"},
	{"-a b", `' ' is not one of`},
	{"-é", "'Ã' is not one of"},
	{"-a\n", `'\n' is not one of`},
}

func TestParsePathNames(t *testing.T) {
	for _, c := range names {
		if _, err := Nix.ParsePath("/nix/store/" + digits + c.name); !says(err, c.want) {
			t.Errorf("%q: %v, want %q", c.name, err, c.want)
		}
	}
}

func says(err error, want string) bool {
	if err == nil {
		return want == ""
	}
	return want != "" && strings.Contains(err.Error(), want)
}

func TestParsePathRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "does not start with /nix/store/",
		"/nix/store":                       "does not start with /nix/store/",
		"/gnu/store/" + digits + "-a":      "does not start with /nix/store/",
		"/nix/store/.links":                `".links" has 6 characters`,
		"/nix/store/e" + digits[1:] + "-a": `'e' is not a base32 digit`,
		"/nix/store/A" + digits[1:] + "-a": `'A' is not a base32 digit`,
		"/nix/store/" + digits + "xa":      `'x' follows the 32 digits`,
		"/nix/store/" + digits + "-a/bin":  "is inside the store item /nix/store/" + digits + "-a,",
		"/nix/store/" + digits + "-a/":     "is inside the store item",
	} {
		if _, err := Nix.ParsePath(text); !says(err, want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Nix accepts and refuses the same names.
func TestParsePathAsNix(t *testing.T) {
	n := newNix(t)
	n.run("nix-store", "--init")
	for _, c := range names {
		out, err := n.try("", "nix-store", "--query", "--hash", n.flavor.StoreDir+"/"+digits+c.name)
		if err == nil {
			t.Fatalf("%q is valid", c.name)
		}
		if taken := strings.Contains(out, "is not valid"); taken != (c.want == "") {
			t.Errorf("%q: Nix says %s", c.name, out)
		}
	}
}

var pathForm = regexp.MustCompile(`^/nix/store/[0-9a-df-np-sv-z]{32}-[0-9a-zA-Z+._?=-]{1,211}$`)

func FuzzParsePath(f *testing.F) {
	for _, c := range names {
		f.Add("/nix/store/" + digits + c.name)
	}
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		p, err := Nix.ParsePath(text)
		if valid := pathForm.MatchString(text) && !strings.HasSuffix(text, "\n"); valid != (err == nil) {
			t.Fatalf("%q: %v", text, err)
		}
		if err == nil && (p.String() != text || Nix.StoreDir+"/"+p.Base() != text) {
			t.Errorf("%q became %q", text, p)
		}
	})
}
