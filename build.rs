//! Says, where the agents' web page was not built, that it will be missing, and how to have it. The server is built all the same.

use std::path::Path;

fn main() {
    // The page's files are embedded: whatever changes among them changes the program.
    println!("cargo:rerun-if-changed=console/dist");
    println!("cargo:rerun-if-changed=build.rs");
    if !Path::new("console/dist/index.html").exists() {
        println!(
            "cargo:warning=the agents' web page is not built, and will be missing: with Node.js 20.19 or later, run \
             `cd console && npm ci && npm run build`, and build kefu again (scripts/setup does it)"
        );
    }
}
