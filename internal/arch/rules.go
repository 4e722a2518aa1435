package arch

// A room is what the packages below a path of the module may import, besides the standard library.
type room struct {
	path    string   // of a package, or "parent/..." for a package and all below it
	may     []string // packages of the module, in the same form
	modules []string // packages of other modules, likewise
}

// rooms are the floors of the house, the roof first. The first that fits a package counts; a package that fits none is a mistake.
var rooms = []room{
	{"cmd/...", []string{"..."}, []string{"..."}},

	{"image", []string{"image/...", "partition/...", "closure/...", "bootloader/...", "internal/..."},
		[]string{"github.com/BurntSushi/toml/...", "github.com/google/uuid/...", "golang.org/x/sync/...", "golang.org/x/sys/..."}},
	{"image/xorriso", cellar, []string{"golang.org/x/sys/..."}},
	{"image/iso9660", cellar, nil},
	{"image/mbr", cellar, nil},
	{"image/gpt", cellar, []string{"github.com/diskfs/go-diskfs/...", "github.com/google/uuid/..."}},

	{"bootloader", []string{"partition", "bootloader/pe", "internal/..."}, nil},
	{"bootloader/...", cellar, []string{"golang.org/x/sys/..."}},
	{"partition", []string{"partition/...", "internal/..."}, []string{"github.com/google/uuid/..."}},
	{"partition/erofs", cellar, []string{"github.com/erofs/go-erofs/..."}},
	{"partition/...", cellar, nil},
	{"closure", []string{"closure/...", "internal/..."}, []string{"golang.org/x/sync/..."}},
	{"closure/db", cellar, []string{"github.com/ncruces/go-sqlite3/..."}},
	{"closure/...", cellar, nil},

	{"internal/repro", nil, []string{"github.com/google/uuid/..."}},
	{"internal/...", cellar, []string{"golang.org/x/sys/...", "golang.org/x/sync/..."}},
}

var cellar = []string{"internal/..."}

// A ban is a name of the standard library, or a whole package of it, that only some packages may use.
type ban struct {
	pkg   string   // import path
	names []string // exported names; none means that the package may not be imported
	where []string // the packages that may, as in a room
	why   string
}

var bans = []ban{
	{"os/exec", nil, []string{"internal/hosttool"}, "host tools run with a fixed environment, through internal/hosttool"},
	{"os", []string{"StartProcess"}, []string{"internal/hosttool"}, "host tools run with a fixed environment, through internal/hosttool"},
	{"syscall", []string{"Exec", "ForkExec", "StartProcess"}, nil, "host tools run with a fixed environment, through internal/hosttool"},
	{"plugin", nil, nil, "an image depends on nothing that is not in its description"},

	{"time", []string{"Now", "Since", "Until"}, []string{"cmd/..."}, "no clock reaches the bytes of an image"},
	{"os", []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv", "UserHomeDir", "UserCacheDir", "UserConfigDir"},
		[]string{"cmd/...", "internal/hosttool"}, "no environment reaches the bytes of an image"},
	{"os", []string{"Hostname", "Getuid", "Geteuid", "Getgid", "Getegid"}, []string{"cmd/..."}, "nothing of the host reaches the bytes of an image"},
	{"math/rand", nil, nil, "identifiers derive from the seed, through internal/repro"},
	{"math/rand/v2", nil, nil, "identifiers derive from the seed, through internal/repro"},
	{"crypto/rand", nil, []string{"cmd/..."}, "identifiers derive from the seed, through internal/repro"},
	{"github.com/google/uuid", []string{"New", "NewString", "NewRandom", "NewUUID", "NewV6", "NewV7"}, nil,
		"identifiers derive from the seed, through internal/repro"},

	{"os", []string{"Exit", "Stdin", "Stdout", "Stderr"}, []string{"cmd/..."}, "only the command talks to the terminal, and ends the program"},
	{"fmt", []string{"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"}, []string{"cmd/..."}, "only the command talks to the terminal"},
	{"log", nil, nil, "one logger is passed in"},
}

// testSupport are packages for tests, measurements and the demo: no rule is for them, and nothing of the program may import them.
var testSupport = []string{
	"bench/...", "internal/hosttest", "internal/nixtest", "internal/qemutest/...", "internal/demostore/...", "partition/partitiontest",
}
