//! See `clients::breaker_per_host`.

#[tokio::main]
async fn main() -> Result<(), clients::BoxError> {
    println!("{:#?}", clients::breaker_per_host::run().await?);
    Ok(())
}
