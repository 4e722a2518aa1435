package narinfo

import "fmt"

// CacheFile is the name of the file that describes a cache.
const CacheFile = "nix-cache-info"

// ParseCache parses the content of [CacheFile], and returns the store directory of the cache. It ignores the other keys, the priority and
// WantMassQuery, which are advice for programs that look for items in many caches.
func ParseCache(text string) (storeDir string, err error) {
	for n, line := range lines(text) {
		key, value, err := split(line)
		if err != nil {
			return "", fmt.Errorf("line %d: %v", n, err)
		}
		if key != "StoreDir" {
			continue
		}
		if storeDir != "" {
			return "", fmt.Errorf("line %d: StoreDir is defined twice", n)
		}
		storeDir = value
	}
	if storeDir == "" {
		return "", fmt.Errorf("StoreDir is missing")
	}
	return storeDir, nil
}

// CacheText returns the content of [CacheFile] for a new cache, as Nix writes it.
func CacheText(storeDir string) string { return "StoreDir: " + storeDir + "\n" }
