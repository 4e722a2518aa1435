package keyed

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprint/internal/diag"
)

// A site is a document of the language of these tests.
type site struct {
	Key    diag.Key
	Name   Value[string]       `toml:"name"`
	Kind   Value[string]       `toml:"kind"`
	Public Value[bool]         `toml:"public"`
	Since  Value[int64]        `toml:"since"`
	Depth  Value[int64]        `toml:"depth"`
	Owner  Value[uint32]       `toml:"owner"`
	Motto  Value[motto]        `toml:"motto"`
	Tags   List[Value[string]] `toml:"tags"`
	Limits limits              `toml:"limits"`
	Server List[server]        `toml:"server"`
}

type limits struct {
	Key   diag.Key
	Speed Value[speed] `toml:"speed"`
}

type server struct {
	Key   diag.Key
	Host  Value[string]      `toml:"host"`
	Rates List[Value[speed]] `toml:"rates"`
	Alias List[alias]        `toml:"alias"`
}

type alias struct {
	Key  diag.Key
	Path Value[string] `toml:"path"`
}

// A motto is any text, an empty one too.
type motto string

// A speed is written as "fast", or in kilometres per hour.
type speed int

func (s *speed) ParseTOML(v any) error {
	switch n, isInt := v.(int64); {
	case v == "fast":
		*s = 100
	case isInt:
		*s = speed(n)
	default:
		return diag.Mistake{Text: "must be a speed, not " + KindOf(v), Hint: `as in "fast"`}
	}
	return nil
}

var sites = NewTables(reflect.TypeFor[site](), map[string]Rule{
	"name":   {Doc: "Name of the site.", Required: true},
	"kind":   {Words: []string{"shop", "diary"}, Later: []string{"wiki"}, Aliases: map[string]string{"blog": "diary"}},
	"public": {Doc: "Whether everybody may read it."}, "since": {Most: 3000}, "depth": {Numbers: []int64{2, 4}}, "owner": {Most: 1<<32 - 2},
	"limits":      {},
	"server":      {Doc: "A server.", Required: true, Most: 3},
	"server.host": {Required: true}, "server.rates": {Most: 2}, "server.alias": {}, "server.alias.path": {},
})

// decode is what the language of sites says of a document named x.toml. A text may not begin with a space.
func decode(src string) (*site, error) {
	into, r := &site{}, NewReporter("x.toml")
	ok := sites.Decode(r, []byte(src), into, func(_, text string) error {
		if strings.HasPrefix(text, " ") {
			return diag.Mistake{Text: "begins with a space", Hint: "take it away"}
		}
		return nil
	})
	if !ok && !reflect.DeepEqual(into, &site{}) {
		panic("a text that is no TOML was decoded")
	}
	return into, r.Err()
}

func TestDecode(t *testing.T) {
	got, err := decode(`name = "n"
kind = "diary"
since = 3000
depth = 4
owner = 4294967294
motto = ""
tags = ["a", "b"]
limits.speed = "fast"
[[server]]
host = "h"
rates = [80, "fast"]
[[server.alias]]
path = "/"
[[server]]
host = "i"
`)
	if err != nil {
		t.Fatal(err)
	}
	key := func(path string, line, col int, written bool) diag.Key {
		return diag.Key{Path: path, Position: diag.Position{File: "x.toml", Line: line, Col: col}, Written: written}
	}
	want := &site{
		Key:    key("", 0, 0, false),
		Name:   Value[string]{"n", key("name", 1, 1, true)},
		Kind:   Value[string]{"diary", key("kind", 2, 1, true)},
		Public: Value[bool]{false, key("public", 0, 0, false)},
		Since:  Value[int64]{3000, key("since", 3, 1, true)},
		Depth:  Value[int64]{4, key("depth", 4, 1, true)},
		Owner:  Value[uint32]{1<<32 - 2, key("owner", 5, 1, true)},
		Motto:  Value[motto]{"", key("motto", 6, 1, true)},
		Tags:   List[Value[string]]{[]Value[string]{{"a", key("tags[0]", 7, 9, true)}, {"b", key("tags[1]", 7, 14, true)}}, key("tags", 7, 1, true)},
		Limits: limits{key("limits", 8, 1, true), Value[speed]{100, key("limits.speed", 8, 8, true)}},
		Server: List[server]{[]server{
			{
				Key:   key("server[0]", 9, 3, true),
				Host:  Value[string]{"h", key("server[0].host", 10, 1, true)},
				Rates: List[Value[speed]]{[]Value[speed]{{80, key("server[0].rates[0]", 11, 10, true)}, {100, key("server[0].rates[1]", 11, 14, true)}}, key("server[0].rates", 11, 1, true)},
				Alias: List[alias]{[]alias{{key("server[0].alias[0]", 12, 10, true), Value[string]{"/", key("server[0].alias[0].path", 13, 1, true)}}}, key("server[0].alias", 12, 10, true)},
			},
			{ // what is absent is where the table is that lacks it
				Key:   key("server[1]", 14, 3, true),
				Host:  Value[string]{"i", key("server[1].host", 15, 1, true)},
				Rates: List[Value[speed]]{nil, key("server[1].rates", 14, 3, false)},
				Alias: List[alias]{nil, key("server[1].alias", 14, 3, false)},
			},
		}, key("server", 9, 3, true)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !got.Name.Written() || got.Public.Written() || !got.Tags.Written() || got.Server.Items[1].Rates.Written() {
		t.Error("Written is wrong")
	}
}

func TestDecodeReports(t *testing.T) {
	const rest = "\nserver = [{host = \"h\"}]\n"
	for src, want := range map[string]string{
		`nmae = "n"` + rest:                  "x.toml:1:1: nmae: unknown key\nhint: did you mean \"name\"?",
		`Name = "n"` + rest:                  "x.toml:1:1: Name: unknown key\nhint: write \"name\": keys are in lower case",
		"name = \"n\"\nhost = 1" + rest:      "x.toml:2:1: host: unknown key\nhint: it is a key of [server]",
		"name = \"n\"\nzzzzzzzz = 1" + rest:  "x.toml:2:1: zzzzzzzz: unknown key\nhint: known keys: depth, kind, limits, motto, name, owner, public, server, since, tags",
		"name = \"n\"\n" + rest + "a.b = \n": "x.toml:4:7: expected value but found '\\n' instead",
		"name = \"n\"\nname = \"m\"" + rest:  "x.toml:2:1: name: is already defined in line 1",
		"name = \"n\"":                       "x.toml: server: is required\nhint: add [[server]]",
		"name = \"n\"\n[[server]]":           "x.toml:2:3: server[0].host: is required",
		"name = \"n\"\n[server]\nhost=\"h\"": "x.toml:2:2: server: must be an array of tables, not a table\nhint: write [[server]]",
		"name = \"n\"" + rest + "[[limits]]": "x.toml:3:3: limits: must be a table, not an array of tables\nhint: write [limits]",

		`name = 1` + rest:                         "x.toml:1:1: name: must be text, not an integer\nhint: put it in quotation marks",
		`name = []` + rest:                        "x.toml:1:1: name: must be text, not an array",
		`name = ""` + rest:                        "x.toml:1:1: name: is empty",
		`name = "a\tb"` + rest:                    "x.toml:1:1: name: \"a\\tb\" contains a control character",
		`name = " n"` + rest:                      "x.toml:1:1: name: begins with a space\nhint: take it away",
		"name = \"n\"\nkind = \"blog\"" + rest:    "x.toml:2:1: kind: \"blog\" is unknown\nhint: write \"diary\"",
		"name = \"n\"\nkind = \"wiki\"" + rest:    "x.toml:2:1: kind: \"wiki\" is not supported yet\nhint: supported: shop, diary",
		"name = \"n\"\nkind = \"dairy\"" + rest:   "x.toml:2:1: kind: \"dairy\" is unknown\nhint: did you mean \"diary\"?",
		"name = \"n\"\nkind = \"museum\"" + rest:  "x.toml:2:1: kind: \"museum\" is unknown\nhint: known: shop, diary",
		"name = \"n\"\nmotto = 1.5" + rest:        "x.toml:2:1: motto: must be text, not a number with a fraction\nhint: put it in quotation marks",
		"name = \"n\"\npublic = \"true\"" + rest:  "x.toml:2:1: public: must be true or false, not text\nhint: remove the quotation marks",
		"name = \"n\"\nsince = \"12\"" + rest:     "x.toml:2:1: since: must be an integer, not text\nhint: remove the quotation marks",
		"name = \"n\"\nsince = 1979-05-27" + rest: "x.toml:2:1: since: must be an integer, not a date or time",
		"name = \"n\"\nsince = 3001" + rest:       "x.toml:2:1: since: 3001 is not between 0 and 3000",
		"name = \"n\"\nsince = -1" + rest:         "x.toml:2:1: since: -1 is not between 0 and 3000",
		"name = \"n\"\ndepth = 3" + rest:          "x.toml:2:1: depth: 3 is not one of [2 4]",
		"name = \"n\"\ntags = \"a\"" + rest:       "x.toml:2:1: tags: must be an array of texts, not text\nhint: write [\"a\"]",
		"name = \"n\"\ntags = [\"a\", 1]" + rest:  "x.toml:2:14: tags[1]: must be text, not an integer\nhint: put it in quotation marks",
		"name = \"n\"\nlimits.speed = []" + rest:  "x.toml:2:8: limits.speed: must be a speed, not an array\nhint: as in \"fast\"",

		"name = \"n\"\n[[server]]\nhost = \"h\"\nrates = [1, 2, 3]\n": "x.toml:4:1: server[0].rates: has 3 elements, more than 2",
	} {
		if _, err := decode(src); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s\ngot\n%v\nwant\n%s", src, err, want)
		}
	}
}

func TestDecodeWithoutCheck(t *testing.T) {
	r := NewReporter("x.toml")
	if !sites.Decode(r, []byte("name = \" n\"\nserver = [{host = \"h\"}]"), &site{}, nil) || r.Err() != nil {
		t.Error(r.Err())
	}
}

func TestTables(t *testing.T) {
	var paths, tables, lists []string
	for _, f := range sites.All() {
		paths = append(paths, f.Path)
		if f.IsTable() {
			tables = append(tables, f.Path)
		}
		if f.List {
			lists = append(lists, f.Path)
		}
	}
	want := "depth kind limits limits.speed motto name owner public server server.alias server.alias.path server.host server.rates since tags"
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("the keys are %s", got)
	}
	if got, want := fmt.Sprint(tables, lists), "[limits server server.alias] [server server.alias server.rates tags]"; got != want {
		t.Errorf("tables and lists are %s", got)
	}
	host := sites.Of(reflect.TypeFor[server]())[0]
	if host.Name != "host" || host.Index != 1 || !host.Required || host.Type != reflect.TypeFor[string]() {
		t.Errorf("%+v", host)
	}
}

// A key has one problem, unless it is opened again for another.
func TestReporter(t *testing.T) {
	r := NewReporter("x.toml")
	k := diag.Key{Path: "a", Position: diag.Position{File: "x.toml", Line: 1, Col: 1}}
	if r.Reported("a") || r.Err() != nil {
		t.Error("a problem without a report")
	}
	r.Report(k, "first", "")
	r.Report(k, "second", "")
	r.Reopen("a")
	r.ReportError(k, fmt.Errorf("around: %w", diag.Mistake{Text: "third", Hint: "do\u009bthat\nand that"}))
	if want := "x.toml:1:1: a: first\nx.toml:1:1: a: around: third\nhint: do\\u009bthat\n      and that"; !r.Reported("a") || r.Err().Error() != want {
		t.Errorf("got\n%v\nwant\n%s", r.Err(), want)
	}
}

func TestDecodeRefusesWhatIsNoText(t *testing.T) {
	for want, src := range map[string][]byte{
		"x.toml: is UTF-16":                         []byte("\xff\xfen\x00"),
		"x.toml: is 16777217 byte":                  bytes.Repeat([]byte("#"), MaxSource+1),
		"x.toml:1:5: invalid UTF-8 byte: 0xff":      []byte("a = \xff"),
		"x.toml:1:37: nests deeper than 32 levels":  []byte("a = " + strings.Repeat("[", 1<<20)),
		"x.toml:1:65: nests deeper than 32 levels":  []byte(strings.Repeat("a.", 1<<20)),
		"x.toml:1:197: nests deeper than 32 levels": []byte("a = " + strings.Repeat("{ a = ", 1<<20)),
	} {
		if _, err := decode(string(src)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %.200v; want %s", err, want)
		}
	}
}

func TestByteOrderMarkIsNoCharacter(t *testing.T) {
	_, err := decode("\ufeffnmae = 1\n")
	if want := "x.toml:1:1: nmae: unknown key"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v; want %s", err, want)
	}
}

// list returns the problems in an error.
func list(t *testing.T, err error) diag.List {
	t.Helper()
	var list diag.List
	if !errors.As(err, &list) || len(list) == 0 {
		t.Fatalf("the error is a %T", err)
	}
	return list
}
