//! See `clients::hedged_reads`.

#[tokio::main]
async fn main() -> Result<(), clients::BoxError> {
    println!("{:#?}", clients::hedged_reads::run().await?);
    Ok(())
}
